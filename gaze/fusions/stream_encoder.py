"""A transformer encoder over one token for each stream, read by a token of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Block
from gaze.fusions.itracker import check_streams, pooled
from gaze.fusions.tokens import NumberToken, everything, given
from gaze.types import ScreenInputs


class StreamEncoder(nn.Module):
    """ItrackerMHSAv3: a summary token, both eyes and the face attend to one another, and landmarks and motion if asked.

    Args:
        channels: of the maps, by stream.
        width: of the tokens.
        heads: of the attention.
        hidden: width of the perceptrons.
        layers: of the transformer.
        landmarks: points whose places make one more token; 0: none.
        imu: one more token from the motion sensor.
        dropout: in all layers.
        drop_path: probability of leaving a sample's residual out.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        width: int = 512,
        heads: int = 8,
        hidden: int = 2048,
        layers: int = 2,
        landmarks: int = 0,
        imu: bool = False,
        dropout: float = 0.1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.streams = check_streams(channels)
        self.project = nn.ModuleDict({s: nn.Linear(channels[s], width) for s in self.streams})
        self.landmarks = NumberToken(2 * landmarks, 128, width, nn.ReLU) if landmarks else None
        self.imu = NumberToken(9, 32, width, nn.ReLU) if imu else None
        self.summary = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.role = nn.Parameter(torch.randn(1, 3 + bool(landmarks) + imu, width) * 0.02)
        self.layers = nn.ModuleList(
            Block(width, heads, hidden, dropout=dropout, drop_path=drop_path) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.channels = width

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The summary token after the last layer."""
        streams = torch.stack([self.project[s](pooled(features[s])) for s in self.streams], 1)
        tokens, seen = [streams], [everything(streams)]
        if self.landmarks is not None:
            _add(tokens, seen, self.landmarks(given(inputs, "landmarks").flatten(1)))
        if self.imu is not None:
            _add(tokens, seen, self.imu(given(inputs, "imu"), inputs.imu_valid))
        summary = self.summary.expand(streams.shape[0], -1, -1)
        found = torch.cat([summary, torch.cat(tokens, 1) + self.role], 1)
        # Without a token that may be absent there is no mask, and attention takes its fastest way.
        mask = torch.cat([everything(summary), *seen], 1) if len(tokens) > 1 else None
        for layer in self.layers:
            found = layer(found, seen=mask)
        return self.norm(found)[:, 0]


def _add(tokens: list[Tensor], seen: list[Tensor], more: tuple[Tensor, Tensor]) -> None:
    tokens.append(more[0])
    seen.append(more[1])
