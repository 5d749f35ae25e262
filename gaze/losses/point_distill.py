"""Learning points of gaze from a larger model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.landmarks.points import DEFAULT
from gaze.losses.loss import Loss
from gaze.losses.point import standardised_error
from gaze.losses.teacher import check_teacher
from gaze.lowered import Lowered
from gaze.schedules import Schedule
from gaze.screens.mirror import mirrored_inputs
from gaze.types import Batch, Progress, ScreenInputs, ScreenPrediction


class PointDistillation(Loss):
    """Smooth L1 to a teacher's point where the teacher is not worse than the student, and the cosine to its features.

    mean over the batch of m l(student, teacher) + f (1 - cos(W h_student, h_teacher)). The gate m is 1 where the
    teacher's error is less than the student's plus `gate_cm`, else 0: a teacher who is wrong must not pull. The
    teacher's point is the mean of what it says of a sample and of its mirror image.

    The teacher is frozen, in eval mode and without gradient.

    Args:
        teacher: a finished model from `ScreenInputs` to `ScreenPrediction`.
        gate_cm: how much worse than the student the teacher may be; null: never asked.
        beta: of the smooth L1, in standardised units.
        features: f; above 0 needs head=point_projected, whose width is that of the teacher's features.
        mirror: ask the teacher twice.
        landmarks: which of MediaPipe's points the samples hold, if they hold any; needed to mirror them.
        face_size, eye_size: (H, W) px that the teacher sees; crops of another size are resized for it. None: what its
            run was trained on (`gaze.runs.load_model` says); crops as they are if that isn't known.
        amp: run the teacher in bfloat16, from weights cast once and kept, whatever hardware.frozen_dtype is.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: a number is out of range, or the teacher is a model of another task; later, features are to be
            compared that somebody does not give.
    """

    def __init__(
        self,
        teacher: nn.Module,
        gate_cm: float | None = 0.5,
        beta: float = 0.1,
        features: float = 0.0,
        mirror: bool = True,
        landmarks: Sequence[int] | None = None,
        face_size: Sequence[int] | None = None,
        eye_size: Sequence[int] | None = None,
        amp: bool = False,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(weight)
        if (gate_cm is not None and gate_cm < 0) or beta < 0 or features < 0:
            raise ValueError(f"gate_cm {gate_cm}, beta {beta}, features {features}; expected numbers from 0 on")
        check_teacher(teacher, ScreenInputs, "point_distillation")
        self.teacher = teacher.requires_grad_(False).eval()
        self.lowered = Lowered(teacher, torch.bfloat16, everything=True) if amp else nullcontext()
        self.gate_cm, self.beta, self.features, self.mirror, self.amp = gate_cm, beta, features, mirror, amp
        self.landmarks = tuple(landmarks or DEFAULT)
        face, eye = face_size or getattr(teacher, "face_size", None), eye_size or getattr(teacher, "eye_size", None)
        self.sizes = {"face": face, "left_eye": eye, "right_eye": eye}

    def forward(self, prediction: ScreenPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        point, features = self._ask(batch.inputs)
        error = standardised_error(prediction, point)
        each = F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=self.beta).mean(-1)
        loss = (each * self._gate(prediction.point.detach(), point, batch.targets.point)).mean()
        if not self.features or not self.training:  # the projection exists in training only
            return loss
        if prediction.projection is None or features is None:
            raise ValueError(
                "point_distillation.features compares features: it needs head=point_projected and a teacher "
                "whose head gives features"
            )
        if prediction.projection.shape != features.shape:
            raise ValueError(
                f"the student projects to {prediction.projection.shape[-1]} features, the teacher has "
                f"{features.shape[-1]}: set head.width"
            )
        return loss + self.features * (1 - F.cosine_similarity(prediction.projection, features, dim=-1)).mean()

    def _gate(
        self, student: Float[Tensor, "b 2"], teacher: Float[Tensor, "b 2"], truth: Float[Tensor, "b 2"]
    ) -> Float[Tensor, "b"]:
        if self.gate_cm is None:
            return torch.ones_like(student[:, 0])
        return ((teacher - truth).norm(dim=-1) < (student - truth).norm(dim=-1) + self.gate_cm).to(student.dtype)

    @torch.no_grad()
    def _ask(self, inputs: ScreenInputs) -> tuple[Float[Tensor, "b 2"], Float[Tensor, "b f"] | None]:
        inputs = replace(
            inputs, **{name: self._sized(getattr(inputs, name), size) for name, size in self.sizes.items()}
        )
        device = next(image.device for name in self.sizes if (image := getattr(inputs, name)) is not None)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.amp), self.lowered:
            seen: ScreenPrediction = self.teacher(inputs).float32()
            if not self.mirror:
                return seen.point, seen.features
            other = self.teacher(mirrored_inputs(inputs, self.landmarks)).float32().point
        return (seen.point + other * other.new_tensor([-1.0, 1.0])) / 2, seen.features

    @staticmethod
    def _sized(image: Tensor | None, size: Sequence[int] | None) -> Tensor | None:
        if image is None or size is None or tuple(image.shape[-2:]) == tuple(size):
            return image
        return F.interpolate(image, (size[0], size[1]), mode="bilinear", antialias=True)
