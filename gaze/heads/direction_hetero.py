"""The direction of gaze with a standard deviation of its pitch and one of its yaw."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.direction import INTO_CAMERA, linear, unit
from gaze.spreads import of_angles
from gaze.types import DirectionPrediction


class DirectionHeteroHead(nn.Module):
    """A unit vector, and log-variances of pitch and of yaw times cos pitch, which the loss `hetero_nll` fits.

    What it says are the standard deviations of pitch and of yaw itself.

    Args:
        channels: of the features.
        least, most: limits of the log-variance, of radians squared.

    Raises:
        ValueError: the limits are not in order.
    """

    def __init__(self, channels: int, least: float = -12.0, most: float = 3.0) -> None:
        super().__init__()
        if least >= most:
            raise ValueError(f"head.least is {least} and head.most {most}; expected least < most")
        self.least, self.most = least, most
        self.direction = linear(channels, INTO_CAMERA)
        self.log_variance = linear(channels, (-2.0, -2.0))  # 21 degrees, until it has learnt

    def forward(self, features: Float[Tensor, "b c"]) -> DirectionPrediction:
        with torch.autocast(features.device.type, enabled=False):
            found = features.float()
            spread = (self.log_variance(found).clamp(self.least, self.most) / 2).exp()
            gaze = unit(self.direction(found))
            # The gaze is detached: how sure the head is must not train where it says that people look
            return DirectionPrediction(gaze, spread=of_angles(spread, gaze.detach()), features=found)
