"""A transformer encoder over the cells of all streams, read by a token of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Block
from gaze.fusions.tokens import MapTokens, NumberToken, everything, given
from gaze.types import ScreenInputs


class TokenEncoder(nn.Module):
    """Every cell of every stream looks at every other, and a summary token at all of them.

    Args:
        channels: of the maps, by stream.
        cells: of a map, by `face` and `eyes`: how many positions are learned.
        width: of the tokens.
        heads: of the attention.
        hidden: width of the perceptrons.
        layers: of the transformer.
        dropout: in all layers.
        drop_path: probability of leaving a sample's residual out.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        cells: Mapping[str, int],
        width: int = 256,
        heads: int = 8,
        hidden: int = 1024,
        layers: int = 2,
        dropout: float = 0.1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.tokens = MapTokens(channels, width, cells)
        self.geometry = NumberToken(12, 64, width)
        self.summary = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.layers = nn.ModuleList(
            Block(width, heads, hidden, dropout=dropout, drop_path=drop_path) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.channels = width

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The summary token after the last layer."""
        streams = list(self.tokens(features).values())
        geometry, there = self.geometry(given(inputs, "geometry"))
        summary = self.summary.expand(geometry.shape[0], -1, -1)
        tokens = [summary, *streams, geometry]
        seen = torch.cat([*(everything(x) for x in tokens[:-1]), there], 1)
        found = torch.cat([x.to(streams[0].dtype) for x in tokens], 1)
        for layer in self.layers:
            found = layer(found, seen=seen)
        return self.norm(found)[:, 0]
