"""HybridGazeAttention over one vector for each stream."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Block
from gaze.fusions.itracker import check_streams, pooled
from gaze.types import ScreenInputs


class PooledGaze(nn.Module):
    """ItrackerMHSAv2 on the means of the maps: the eyes attend to each other, then the face to both of them.

    The original pooled the eyes into one before the face asked, which leaves its attention nothing to choose from.

    Args:
        channels: of the maps, by stream.
        width: of the tokens; streams of another width are projected.
        heads: of the attention.
        inner: width of all heads together; None: `width`.
        hidden: width of the perceptrons.
        dropout: in all layers.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        width: int = 512,
        heads: int = 8,
        inner: int | None = None,
        hidden: int = 2048,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.streams = check_streams(channels)
        self.project = nn.ModuleDict(
            {s: nn.Identity() if channels[s] == width else nn.Linear(channels[s], width) for s in self.streams}
        )
        self.role = nn.Parameter(torch.randn(1, 3, width) * 0.02)  # of left eye, right eye and face
        self.eyes = Block(width, heads, hidden, norm="after", inner=inner, dropout=dropout)
        self.cross = Block(width, heads, hidden, norm="after", cross=True, inner=inner, dropout=dropout)
        self.channels = 2 * width

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """What the face found in the eyes, and the mean of the eyes."""
        tokens = torch.stack([self.project[s](pooled(features[s])) for s in self.streams], 1) + self.role
        eyes = self.eyes(tokens[:, :2])
        face = self.cross(tokens[:, 2:], eyes)
        return torch.cat([face[:, 0], eyes.mean(1)], 1)
