"""The direction of gaze by bins of pitch and of yaw (L2CS-Net, Abdelrahman et al. 2022)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import pitch_yaw_to_vector
from gaze.heads.direction import linear
from gaze.types import DirectionPrediction


class DirectionL2CSHead(nn.Module):
    """Logits of bins of each angle, and the mean angle of their softmax, for the loss `l2cs`.

    Row 0 of the bins is pitch, row 1 yaw; the original calls them the other way round. Its bins stand for their lower
    edges, which shifts what is read off by half a bin against what cross entropy teaches; ours stand for their centres.

    Args:
        channels: of the features.
        bins: of each angle, the middle of which is an angle of 0.
        bin_deg: width of a bin, degrees.

    Raises:
        ValueError: they do not fit a circle.
    """

    def __init__(self, channels: int, bins: int = 90, bin_deg: float = 4.0) -> None:
        super().__init__()
        if bins < 2 or bin_deg <= 0 or bins * bin_deg > 360:
            raise ValueError(
                f"head.bins is {bins} and head.bin_deg {bin_deg}; expected 2 bins or more that cover at most 360 degrees"
            )
        self.bins, self.bin_deg = bins, bin_deg
        self.logits = linear(channels, (0.0,) * 2 * bins)

    def forward(self, features: Float[Tensor, "b c"]) -> DirectionPrediction:
        with torch.autocast(features.device.type, enabled=False):
            found = features.float()
            logits = self.logits(found).unflatten(1, (2, self.bins))
            pitch_yaw = expected_angles(logits, self.bin_deg)
            return DirectionPrediction(pitch_yaw_to_vector(pitch_yaw), bins=logits, features=found)


def expected_angles(logits: Float[Tensor, "b 2 k"], bin_deg: float) -> Float[Tensor, "b 2"]:
    """The mean of each angle over its bins, radians."""
    count = logits.shape[-1]
    # Numbers of bins, made of what is there: an exported graph must name no device
    centres = (torch.ones_like(logits).cumsum(-1) - (count + 1) / 2) * math.radians(bin_deg)
    return (logits.softmax(-1) * centres).sum(-1)
