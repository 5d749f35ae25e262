"""The direction of gaze as pitch and yaw and nothing else, as the baselines of ETH-XGaze and GazeTR regress it."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import pitch_yaw_to_vector
from gaze.heads.direction import linear
from gaze.types import DirectionPrediction


class DirectionAnglesHead(nn.Module):
    """A linear layer to pitch and yaw, radians, for the loss `pitchyaw_l1`.

    Args:
        channels: of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.angles = linear(channels, (0.0, 0.0))

    def forward(self, features: Float[Tensor, "b c"]) -> DirectionPrediction:
        with torch.autocast(features.device.type, enabled=False):
            found = features.float()
            return DirectionPrediction(pitch_yaw_to_vector(self.angles(found)), features=found)
