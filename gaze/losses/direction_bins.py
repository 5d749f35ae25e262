"""The loss of angles that are found by bins, as L2CS-Net has it (Abdelrahman et al. 2022)."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.heads.direction_l2cs import expected_angles
from gaze.losses.direction import needed, safe_pitch_yaw
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, DirectionPrediction, Progress


class L2CS(Loss):
    """Cross entropy of the true angle's bin plus the squared error of the expected angle, summed over both angles.

    Who looks further than the outermost bins counts as one of these; the original leaves such samples out.

    Args:
        bin_deg: width of a bin, degrees, as the head has it.
        square: weight of the squared error, whose unit is a degree squared.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: the model says nothing of bins, or they have another width.
    """

    def __init__(self, bin_deg: float = 4.0, square: float = 1.0, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        self.bin_deg, self.square = bin_deg, square
        self.compared = False

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        logits = needed(prediction.bins, "l2cs", "bins of both angles", "choose head=direction_l2cs")
        expected = expected_angles(logits, self.bin_deg)
        self._compare(expected, prediction)
        truth = safe_pitch_yaw(batch.targets.gaze)
        count = logits.shape[-1]
        bins = (truth.rad2deg() / self.bin_deg + count / 2).floor().long().clamp(0, count - 1)
        entropy = F.cross_entropy(logits.flatten(0, 1), bins.flatten())
        return 2 * (entropy + self.square * (expected - truth).rad2deg().square().mean())

    def _compare(self, expected: Float[Tensor, "b 2"], prediction: DirectionPrediction) -> None:
        """Once, as it waits for the device: does the loss read the bins as the head does?"""
        if not self.compared:
            self.compared = True
            said = safe_pitch_yaw(prediction.gaze.detach())[:, 0]
            off = (expected[:, 0].detach().sin() - said.sin()).abs().max()
            if float(off) > math.sin(math.radians(0.1)):
                raise ValueError(
                    f"loss.l2cs.bin_deg is {self.bin_deg}, but the head's bins have another width; set both to the same, "
                    "such as head.bin_deg=3 loss.l2cs.bin_deg=3"
                )
