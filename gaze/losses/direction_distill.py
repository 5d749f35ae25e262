"""Learning directions from a larger model."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import angular_error
from gaze.losses.loss import Loss
from gaze.losses.teacher import check_teacher
from gaze.lowered import Lowered
from gaze.recall import Recall, fingerprints
from gaze.schedules import Schedule
from gaze.types import Batch, DirectionInputs, DirectionPrediction, Progress


class DirectionDistillation(Loss):
    """The angle to a teacher's direction, radians, plus `sureness` times |ln k_student - ln k_teacher|.

    k is the concentration that both must then give. The teacher is frozen, in eval mode and without gradient. It is
    asked once about each picture: what it says is remembered in float16 (0.006 degrees of a unit vector) and found by
    the picture's pixels, so that views which come back, such as with flips only, cost nothing.

    Args:
        teacher: a finished model from `DirectionInputs` to `DirectionPrediction`.
        sureness: see above; 0 leaves the concentration alone.
        gigabytes: most memory for what the teacher said; 0: it is asked anew each time, which is what views with
            colours of their own need anyway.
        amp: run the teacher in bfloat16, from weights cast once and kept, whatever hardware.frozen_dtype is.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: a number is out of range, or the teacher is a model of another task; later, concentrations are to
            be compared that somebody does not give.
    """

    def __init__(
        self,
        teacher: nn.Module,
        sureness: float = 0.2,
        gigabytes: float = 1.0,
        amp: bool = False,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(weight)
        if sureness < 0:
            raise ValueError(f"direction_distillation.sureness is {sureness}; expected a number from 0 on")
        check_teacher(teacher, DirectionInputs, "direction_distillation")
        self.teacher = teacher.requires_grad_(False).eval()
        self.lowered = Lowered(teacher, torch.bfloat16, everything=True) if amp else nullcontext()
        self.sureness, self.amp = sureness, amp
        self.recall = Recall(gigabytes, "the teacher of direction_distillation") if gigabytes else None

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        said = self._ask(batch.inputs).to(prediction.gaze.device, torch.float32)
        loss = angular_error(prediction.gaze, said[:, :3]).mean()
        if not self.sureness:
            return loss
        if prediction.concentration is None or said.shape[1] < 4:
            raise ValueError(
                "direction_distillation.sureness compares concentrations: it needs head=direction_vmf of student and "
                "teacher; set it to 0 for others"
            )
        return loss + self.sureness * (prediction.concentration.log() - said[:, 3]).abs().mean()

    def _ask(self, inputs: DirectionInputs) -> Float[Tensor, "b n"]:
        """Direction and, where there is one, the logarithm of the concentration."""
        if self.recall is None or inputs.face.dim() != 4:  # a clip's answer is not that of its pixels alone
            return self._say(inputs)
        return self.recall(
            fingerprints(inputs.face), lambda rows: self._say(DirectionInputs(inputs.face[rows.to(inputs.face.device)]))
        )

    @torch.no_grad()
    def _say(self, inputs: DirectionInputs) -> Float[Tensor, "b n"]:
        with torch.autocast(inputs.face.device.type, torch.bfloat16, enabled=self.amp), self.lowered:
            said: DirectionPrediction = self.teacher(inputs)
        columns = [nn.functional.normalize(said.gaze.float(), dim=-1)]
        if said.concentration is not None:
            columns.append(said.concentration.float().log()[:, None])
        return torch.cat(columns, 1)
