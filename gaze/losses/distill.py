"""Learning from the heatmaps of a larger model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.losses.loss import Loss
from gaze.schedules import Schedule, value_at
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction


class HeatmapDistillation(Loss):
    """T² KL(softmax(teacher / T) || softmax(student / T)) over all cells of a head, averaged over heads.

    After Hinton et al. (2015), as GazeLLE's DINOv3 successor does it: the softmax is taken over the whole
    map although the supervised loss treats cells as independent. Only the heatmap is distilled, and
    all heads count, also those that look out of the picture.

    The teacher sees the batch the student saw, and is frozen, in eval mode and without gradient, whatever
    is done to the objective it is part of.

    Args:
        teacher: a finished model from `SceneInputs` to `ScenePrediction`.
        temperature: T, a number or a schedule; at least 1e-6.
        image_size: (H, W) the teacher was made for; images of another size are resized for it.
            None: it gets them as they are.
        amp: run the teacher in bfloat16.
        weight: of this term, a number or a schedule.
    """

    def __init__(
        self,
        teacher: nn.Module,
        temperature: float | Schedule = 1.0,
        image_size: Sequence[int] | None = None,
        amp: bool = False,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(weight)
        self.teacher = teacher.requires_grad_(False).eval()
        self.temperature = temperature
        self.image_size = None if image_size is None else (image_size[0], image_size[1])
        self.amp = amp

    def train(self, mode: bool = True) -> HeatmapDistillation:
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, prediction: ScenePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        student = prediction.heatmap
        teacher = self._ask(batch.inputs).to(student.dtype)
        if teacher.shape != student.shape:
            teacher = F.interpolate(teacher[:, None], student.shape[-2:], mode="bilinear")[:, 0]
        temperature = max(value_at(self.temperature, progress), 1e-6)
        log_student = F.log_softmax(student.flatten(1) / temperature, -1)
        log_teacher = F.log_softmax(teacher.flatten(1) / temperature, -1)
        divergence = F.kl_div(log_student, log_teacher, log_target=True, reduction="sum")
        return temperature**2 * divergence / max(len(student), 1)

    @torch.no_grad()
    def _ask(self, inputs: SceneInputs) -> Float[Tensor, "n h w"]:
        if self.image_size is not None and inputs.image.shape[-2:] != self.image_size:
            inputs = replace(inputs, image=F.interpolate(inputs.image, self.image_size, mode="bilinear"))
        with torch.autocast(inputs.image.device.type, torch.bfloat16, enabled=self.amp):
            return self.teacher(inputs).heatmap
