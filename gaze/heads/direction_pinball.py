"""The direction of gaze as pitch and yaw with an interval about both, as Gaze360 has it (Kellnhofer et al., ICCV 2019)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import pitch_yaw_to_vector
from gaze.heads.direction import linear
from gaze.spreads import half_width
from gaze.types import DirectionPrediction

SHARE = 0.8  # of all true angles, that Gaze360's sigma reaches to both sides of the estimate


class DirectionPinballHead(nn.Module):
    """Angles within a hyperbolic tangent's range, and one spread for both, which the loss `pinball` fits.

    Gaze360's sigma is the reach of the interval that holds 80 % of all true angles. What the head says is the standard
    deviation of a normal distribution with that interval, as every head does: sigma / 1.28. The seam at a yaw of 180
    degrees is out of reach.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.angles = linear(channels, (0.0, 0.0))
        self.sigma = linear(channels, (0.0,))

    def forward(self, features: Float[Tensor, "b c"]) -> DirectionPrediction:
        with torch.autocast(features.device.type, enabled=False):
            found = features.float()
            pitch, yaw = self.angles(found).tanh().unbind(1)
            # Numbers, as a tensor of both would have to be copied to the device at each step
            pitch_yaw = torch.stack([pitch * (math.pi / 2), yaw * math.pi], 1)
            spread = math.pi * self.sigma(found).sigmoid() / half_width(SHARE)
            return DirectionPrediction(pitch_yaw_to_vector(pitch_yaw), spread=spread.expand(-1, 2), features=found)
