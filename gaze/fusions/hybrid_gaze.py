"""HybridGazeAttention over cells: the eyes attend to each other, then the face to what they found."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Block
from gaze.fusions.itracker import check_streams
from gaze.fusions.tokens import MapTokens, Numbers, given
from gaze.types import ScreenInputs


class HybridGaze(nn.Module):
    """ItrackerMHSAv2 on the cells of the eyes' maps.

    The cells of both eyes and a token of the three boxes attend to one another. What the face asks of them has
    all of them as keys: over a single pooled eye vector, as the original had it, the softmax would always be 1, and
    neither queries nor keys would ever learn.

    Args:
        channels: of the maps, by stream.
        cells: of a map, by `face` and `eyes`: how many positions are learned.
        width: of the tokens.
        heads: of the attention.
        hidden: width of the perceptrons.
        layers: of attention among the eyes' tokens.
        query_pool: cells of the face along each side that ask as one; null: the mean over all of them asks.
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
        query_pool: int | None = None,
        dropout: float = 0.1,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        check_streams(channels)
        self.query_pool = query_pool
        self.tokens = MapTokens(channels, width, cells)
        # A box that is not known counts as one without a size at the frame's corner, which no real one is.
        self.geometry = Numbers(12, [64], nn.GELU)
        self.geometry_token = nn.Linear(64, width)
        options = {"dropout": dropout, "drop_path": drop_path}
        self.layers = nn.ModuleList(Block(width, heads, hidden, **options) for _ in range(layers))  # type: ignore[arg-type]
        self.cross = Block(width, heads, hidden, cross=True, **options)  # type: ignore[arg-type]
        self.norm = nn.LayerNorm(2 * width)
        self.channels = 2 * width

    def forward(self, features: Mapping[str, Float[Tensor, "b c h w"]], inputs: ScreenInputs) -> Float[Tensor, "b f"]:
        """What the face found in the eyes, and the mean over the eyes."""
        tokens = self.tokens(features)
        geometry = self.geometry_token(self.geometry(given(inputs, "geometry")))[:, None]
        eyes = torch.cat([tokens["left_eye"], tokens["right_eye"], geometry], 1)
        for layer in self.layers:
            eyes = layer(eyes)
        face = self.cross(self._queries(tokens["face"], features["face"].shape[-2]), eyes)
        return self.norm(torch.cat([face.mean(1), eyes.mean(1)], 1))

    def _queries(self, face: Float[Tensor, "b k c"], height: int) -> Float[Tensor, "b q c"]:
        if self.query_pool is None:
            return face.mean(1, keepdim=True)
        maps = F.avg_pool2d(rearrange(face, "b (h w) c -> b c h w", h=height), self.query_pool)
        return rearrange(maps, "b c h w -> b (h w) c")
