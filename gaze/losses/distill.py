"""Learning from the heatmaps of a larger model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.losses.loss import Loss
from gaze.losses.teacher import check_teacher
from gaze.lowered import Lowered
from gaze.recall import Recall, fingerprints
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
        image_size: (H, W) that the teacher sees; images of another size are resized for it. None: what its run
            was trained on (`gaze.runs.load_model` says); images as they are if that isn't known.
        amp: run the teacher in bfloat16, from weights cast once and kept, whatever hardware.frozen_dtype is.
        remember_gigabytes: of main memory for the teacher's heatmaps, which pays where the same view of a picture comes
            back: without augmentation, or with flips only. 8 kB a head. They are then rounded to float16.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: the teacher is a model of another task.
    """

    def __init__(
        self,
        teacher: nn.Module,
        temperature: float | Schedule = 1.0,
        image_size: Sequence[int] | None = None,
        amp: bool = False,
        remember_gigabytes: float = 0.0,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(weight)
        check_teacher(teacher, SceneInputs, "heatmap_distillation")
        self.teacher = teacher.requires_grad_(False).eval()
        self.lowered = Lowered(teacher, torch.bfloat16, everything=True) if amp else nullcontext()
        self.temperature = temperature
        size = image_size or getattr(teacher, "image_size", None)
        self.image_size = None if size is None else (size[0], size[1])
        self.amp = amp
        self.recall = Recall(remember_gigabytes, "the teacher") if remember_gigabytes else None

    def forward(self, prediction: ScenePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        student = prediction.heatmap
        teacher = self._remembered(batch.inputs).to(student.device, student.dtype)
        if teacher.shape != student.shape:
            teacher = F.interpolate(teacher[:, None], student.shape[-2:], mode="bilinear")[:, 0]
        temperature = max(value_at(self.temperature, progress), 1e-6)
        log_student = F.log_softmax(student.flatten(1) / temperature, -1)
        log_teacher = F.log_softmax(teacher.flatten(1) / temperature, -1)
        divergence = F.kl_div(log_student, log_teacher, log_target=True, reduction="sum")
        return temperature**2 * divergence / max(len(student), 1)

    def _remembered(self, inputs: SceneInputs) -> Float[Tensor, "n h w"]:
        """The teacher's heatmaps, of heads that it has not seen yet or of all."""
        if self.recall is None or len(inputs.head_bbox) == 0:
            return self._ask(inputs)
        pictures, boxes = fingerprints(inputs.image), fingerprints(inputs.head_bbox)
        keys = [(pictures[image], box) for image, box in zip(inputs.image_index.tolist(), boxes, strict=True)]
        return self.recall(keys, lambda heads: self._ask(_some(inputs, heads)))

    @torch.no_grad()
    def _ask(self, inputs: SceneInputs) -> Float[Tensor, "n h w"]:
        if self.image_size is not None and inputs.image.shape[-2:] != self.image_size:
            inputs = replace(inputs, image=F.interpolate(inputs.image, self.image_size, mode="bilinear"))
        with torch.autocast(inputs.image.device.type, torch.bfloat16, enabled=self.amp), self.lowered:
            return self.teacher(inputs).heatmap


def _some(inputs: SceneInputs, heads: Int[Tensor, "m"]) -> SceneInputs:
    """Only these heads, and the pictures they are in."""
    heads = heads.to(inputs.image.device)
    pictures, image_index = inputs.image_index[heads].unique(return_inverse=True)
    return SceneInputs(inputs.image[pictures], inputs.head_bbox[heads], image_index)
