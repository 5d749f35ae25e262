"""A small transformer over frames that knows how far apart they are."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze.fusions.direction_blocks import RMSNorm
from gaze.moe.mixture import SwiGLU
from gaze.temporal.window import Window


class TemporalTransformer(Window):
    """Frames attend to one another.

    Args:
        channels: of a frame's vector.
        window: most frames.
        causal: frames see only those before them, and the last is read; otherwise the centre.
        layers, heads: of the transformer.
        hidden: of its perceptrons.
        dropout: of what layers add.
    """

    def __init__(
        self,
        channels: int,
        window: int = 7,
        causal: bool = False,
        layers: int = 2,
        heads: int = 4,
        hidden: int = 512,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(channels, window, causal)
        self.layers = nn.ModuleList(_Layer(channels, window, heads, hidden, dropout) for _ in range(layers))
        self.norm, self.out = RMSNorm(channels), nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def residual(self, frames: Float[Tensor, "b t D"], present: Bool[Tensor, "b t"], read: int) -> Float[Tensor, "b D"]:
        place = torch.arange(frames.shape[1], device=frames.device)
        seen = present[:, None, :].expand(-1, frames.shape[1], -1)
        if self.causal:
            seen = seen & (place[None, :] <= place[:, None])
        # A frame always sees itself: with nothing to attend to there is no mean.
        seen = seen | (place[None, :] == place[:, None])
        for layer in self.layers:
            frames = layer(frames, seen)
        return self.out(self.norm(frames[:, read]))


class _Layer(nn.Module):
    def __init__(self, width: int, window: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"temporal.heads is {heads} of {width} channels; expected a number that divides them")
        self.heads, self.window = heads, window
        self.qkv, self.project = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.bias = nn.Parameter(torch.zeros(heads, 2 * window - 1))  # by head and frames from query to key
        self.mlp = SwiGLU(width, hidden)
        self.attention_norm, self.mlp_norm = RMSNorm(width), RMSNorm(width)
        self.drop = nn.Dropout(dropout)

    def forward(self, frames: Float[Tensor, "b t D"], seen: Bool[Tensor, "b t t"]) -> Float[Tensor, "b t D"]:
        query, key, value = rearrange(
            self.qkv(self.attention_norm(frames)), "b t (s a d) -> s b a t d", s=3, a=self.heads
        )
        place = torch.arange(frames.shape[1], device=frames.device)
        bias = self.bias[:, place[None, :] - place[:, None] + self.window - 1].to(value.dtype)
        bias = bias[None].masked_fill(~seen[:, None], float("-inf"))
        found = F.scaled_dot_product_attention(query, key, value, bias)
        frames = frames + self.drop(self.project(rearrange(found, "b a t d -> b t (a d)")))
        return frames + self.drop(self.mlp(self.mlp_norm(frames)))
