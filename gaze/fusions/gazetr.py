"""GazeTR-Hybrid: a transformer over the cells of one convolutional map, read by a token of its own."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Block
from gaze.fusions.tokens import NumberToken, check_cells, everything, given
from gaze.types import ScreenInputs


class GazeTR(nn.Module):
    """GazeTR-Hybrid (Cheng & Lu, ICPR 2022), to which landmarks and a motion sensor may add a token each.

    Positions are learned and added to queries and keys alone, in every layer. The published code makes fifty of
    them on cuda:0 in each forward; here they are a parameter, of as many as there are tokens. It also reads BGR
    images without normalisation; here a trunk normalises RGB.

    Args:
        channels: of the one map, by stream.
        width: of the tokens.
        layers: of the transformer.
        heads: of its attention.
        hidden: width of its perceptrons.
        cells: of the map.
        dropout: in the transformer.
        landmarks: points whose places make one more token; 0: none.
        imu: one more token from the motion sensor.

    Raises:
        ValueError: there are several streams.
    """

    def __init__(
        self,
        channels: Mapping[str, int],
        width: int = 32,
        layers: int = 6,
        heads: int = 8,
        hidden: int = 512,
        cells: int = 49,
        dropout: float = 0.1,
        landmarks: int = 0,
        imu: bool = False,
    ) -> None:
        super().__init__()
        if len(channels) != 1:
            raise ValueError(f"GazeTR looks at one stream, not at {', '.join(channels)}; choose one in model.trunks")
        ((self.stream, depth),) = channels.items()
        self.cells = cells
        self.reduce = nn.Sequential(nn.Conv2d(depth, width, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.landmarks = NumberToken(2 * landmarks, 128, width, nn.ReLU) if landmarks else None
        self.imu = NumberToken(9, 32, width, nn.ReLU) if imu else None
        self.summary = nn.Parameter(torch.randn(1, 1, width))
        self.position = nn.Parameter(torch.randn(1, 1 + cells + bool(landmarks) + imu, width))
        self.layers = nn.ModuleList(
            Block(width, heads, hidden, nn.ReLU, norm="after", dropout=dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.channels = width

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """The summary token after the last layer."""
        maps = features[self.stream]
        check_cells(maps, self.cells, "fusion.cells")
        tokens = [self.summary.expand(maps.shape[0], -1, -1), rearrange(self.reduce(maps), "b c h w -> b (h w) c")]
        seen = [everything(x) for x in tokens]
        if self.landmarks is not None:
            _add(tokens, seen, *self.landmarks(given(inputs, "landmarks").flatten(1)))
        if self.imu is not None:
            _add(tokens, seen, *self.imu(given(inputs, "imu"), inputs.imu_valid))
        # Without a token that may be absent there is no mask, and attention takes its fastest way
        mask = torch.cat(seen, 1) if len(tokens) > 2 else None
        found = torch.cat([x.to(tokens[1].dtype) for x in tokens], 1)
        for layer in self.layers:
            found = layer(found, position=self.position, seen=mask)
        return self.norm(found)[:, 0]


def _add(tokens: list[Tensor], seen: list[Tensor], token: Tensor, there: Tensor) -> None:
    tokens.append(token)
    seen.append(there)
