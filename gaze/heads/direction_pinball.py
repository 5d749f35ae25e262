"""The direction of gaze as pitch and yaw with an interval about both, as Gaze360 has it (Kellnhofer et al., ICCV 2019)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import pitch_yaw_to_vector
from gaze.heads.direction import linear
from gaze.types import DirectionPrediction


class DirectionPinballHead(nn.Module):
    """Angles within a hyperbolic tangent's range, and one sigma for both, which the loss `pinball` fits.

    80 % of all true angles are to be within sigma of the estimate. The seam at a yaw of 180 degrees is out of reach.

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
            pitch_yaw = torch.stack([math.pi / 2 * pitch, math.pi * yaw], 1)
            sigma = math.pi * self.sigma(found).sigmoid()
            return DirectionPrediction(pitch_yaw_to_vector(pitch_yaw), spread=sigma.expand(-1, 2), features=found)
