"""A transformer over what describes a face: two vectors steered by prompts, and the cells of two networks.

| stream | what it is |
|---|---|
| f1 | CLIP's global vector, freed of context by prompts |
| f2 | CLIP's global vector, aligned with prompts about gaze |
| f3 | cells of a convolutional network |
| f4 | CLIP's patch tokens |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze.fusions.direction_blocks import DirectionBlock, RMSNorm
from gaze.heatmaps import check_mode
from gaze.moe.mixture import SwiGLU
from gaze.positions import Positions

STREAMS = ("f1", "f2", "f3", "f4")
Switch = Literal["keep", "zero", "mask", "off"]
Layout = Literal["tokens", "pooled"]


class Fused(NamedTuple):
    """What a fusion says of a face."""

    vector: Float[Tensor, "b D"]
    steered: Float[Tensor, "b 2 D"] | None = None  # the tokens of f1 and f2 as projected
    balance: Float[Tensor, ""] | None = None  # mean over mixtures
    router_z: Float[Tensor, ""] | None = None


class DirectionTokens(nn.Module):
    """A summary token, vectors and cells attend to one another; experts stand in the last layers.

    Args:
        streams: channels by name: f1, f2, f3 and f4, or some of them.
        moe: makes a mixture from width, experts, top_k, hidden and shared; needed for `moe_blocks`.
        width: of the tokens.
        heads: of the attention.
        dense_blocks: layers with a perceptron, before all others.
        hidden: of these perceptrons.
        moe_blocks: layers with experts.
        experts, top_k, expert_hidden, shared: of each mixture.
        layout: of f3, its cells as ``tokens``, or their mean as one (``pooled``).
        ablate: by stream. ``keep``; ``zero``: its tokens are 0, projected and placed; ``mask``: nobody attends to its
            tokens, and they ask no expert; ``off``: it is not built. All but the last leave shapes and parameters alone.
        stream_dropout: probability that a token that means "missing" takes the place of a whole stream in training.
        dropout: of projected tokens and of what layers add.
        drop_path: probability of leaving out what a layer adds to a sample.

    Raises:
        ValueError: a stream or a switch that does not exist, no stream at all, or settings that don't fit.
    """

    def __init__(
        self,
        streams: Mapping[str, int],
        moe: Callable[..., nn.Module] | None = None,
        width: int = 256,
        heads: int = 8,
        dense_blocks: int = 1,
        hidden: int = 704,
        moe_blocks: int = 3,
        experts: int = 8,
        top_k: int = 2,
        expert_hidden: int = 256,
        shared: int = 1,
        layout: str = "tokens",
        ablate: Mapping[str, str] | None = None,
        stream_dropout: float = 0.0,
        dropout: float = 0.1,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        check_mode(layout, Layout, "fusion.layout")
        self.ablate = switches(ablate)
        channels = built(streams, self.ablate)
        if moe_blocks and moe is None:
            raise ValueError(
                f"fusion.moe_blocks is {moe_blocks} without experts; choose moe=sigmoid_bias, or set it to 0"
            )
        self.streams, self.layout, self.stream_dropout = tuple(channels), layout, stream_dropout
        self.project = nn.ModuleDict(
            {s: nn.Sequential(nn.LayerNorm(c), nn.Linear(c, width), nn.Dropout(dropout)) for s, c in channels.items()}
        )
        self.role = nn.ParameterDict({s: _normal(width) for s in self.streams})
        self.missing = nn.ParameterDict({s: _normal(width) for s in self.streams} if stream_dropout else {})
        # The summary is learnt with its role: two vectors that are always added are one.
        self.summary = _normal(width)

        def mixture() -> nn.Module:
            assert moe is not None
            return moe(width=width, experts=experts, top_k=top_k, hidden=expert_hidden, shared=shared)

        parts = [SwiGLU(width, hidden) for _ in range(dense_blocks)] + [mixture() for _ in range(moe_blocks)]
        self.layers = nn.ModuleList(DirectionBlock(width, heads, part, dropout, drop_path) for part in parts)
        self.norm = RMSNorm(width)
        self.positions = Positions(width)
        self.channels = width

    def forward(self, streams: Mapping[str, Tensor]) -> Fused:
        """The summary after the last layer. f1 and f2 are [b e], f3 is a map [b c h w], f4 are tokens [b n w]."""
        check_given(streams, self.streams)
        projected = {s: self.project[s](self._rows(s, streams[s])) for s in self.streams}
        placed = {s: self._placed(s, rows, streams[s]) for s, rows in projected.items()}
        first = next(iter(placed.values()))
        tokens = torch.cat([self.summary.expand(first.shape[0], 1, -1), *placed.values()], 1)
        seen = self._seen(placed, tokens)
        balance, router_z = [], []
        for layer in self.layers:
            tokens, uneven, large = layer(tokens, seen)
            balance += [uneven] if uneven is not None else []
            router_z += [large] if large is not None else []
        both = "f1" in projected and "f2" in projected
        return Fused(
            self.norm(tokens[:, 0]),
            torch.cat([projected["f1"], projected["f2"]], 1) if both else None,
            torch.stack(balance).mean() if balance else None,
            torch.stack(router_z).mean() if router_z else None,
        )

    def _rows(self, stream: str, values: Tensor) -> Float[Tensor, "b k c"]:
        if stream in ("f1", "f2"):
            return values[:, None]
        if stream == "f4":
            return values
        cells = rearrange(values, "b c h w -> b (h w) c")
        return cells.mean(1, keepdim=True) if self.layout == "pooled" else cells

    def _placed(self, stream: str, rows: Float[Tensor, "b k d"], values: Tensor) -> Float[Tensor, "b k d"]:
        """The tokens of a stream with their position and role, or what a switch leaves of them."""
        rows = rows.to(self.summary.dtype)  # layers add to them, which a short number format would round away
        width = self._grid_width(stream, values)
        if width is not None:
            rows = rows + self.positions(rows, width)
        rows = rows + self.role[stream]
        if self.stream_dropout and self.training:
            lost = torch.rand(rows.shape[0], 1, 1, device=rows.device) < self.stream_dropout
            rows = torch.where(lost, self.missing[stream], rows)
        # A product leaves the stream's parameters in the graph, where DDP looks for them.
        return rows * 0.0 if self.ablate[stream] == "zero" else rows

    def _grid_width(self, stream: str, values: Tensor) -> int | None:
        if stream == "f3" and self.layout == "tokens":
            return values.shape[3]
        if stream != "f4":
            return None
        side = math.isqrt(values.shape[1])
        if side * side != values.shape[1]:
            raise ValueError(f"f4 has {values.shape[1]} tokens; expected those of a square grid, without a class token")
        return side

    def _seen(self, placed: Mapping[str, Tensor], tokens: Tensor) -> Bool[Tensor, "b k"] | None:
        """Which tokens may be attended to; None where all may, and attention takes its fastest way."""
        if "mask" not in (self.ablate[s] for s in self.streams):
            return None
        parts = [torch.ones_like(tokens[:, :1, 0], dtype=torch.bool)]
        for stream, rows in placed.items():
            parts.append(torch.full_like(rows[..., 0], self.ablate[stream] != "mask", dtype=torch.bool))
        return torch.cat(parts, 1)


def switches(ablate: Mapping[str, str] | None) -> dict[str, str]:
    """The switch of every stream.

    Raises:
        ValueError: an unknown stream or switch.
    """
    unknown = [key for key in ablate or {} if key not in STREAMS]
    if unknown:
        raise ValueError(f"fusion.ablate has {', '.join(unknown)}; expected some of {', '.join(STREAMS)}")
    for stream, switch in (ablate or {}).items():
        check_mode(switch, Switch, f"fusion.ablate.{stream}")
    return {stream: (ablate or {}).get(stream, "keep") for stream in STREAMS}


def built(streams: Mapping[str, int], ablate: Mapping[str, str]) -> dict[str, int]:
    """Channels of the streams that are not off, in their order.

    Raises:
        ValueError: an unknown stream, or none left.
    """
    unknown = [name for name in streams if name not in STREAMS]
    if unknown:
        raise ValueError(f"the fusion got streams {', '.join(unknown)}; expected some of {', '.join(STREAMS)}")
    left = {stream: streams[stream] for stream in STREAMS if stream in streams and ablate[stream] != "off"}
    if not left:
        raise ValueError("the fusion has no stream left; expected one at least: set a switch of fusion.ablate to keep")
    return left


def check_given(given: Mapping[str, Tensor], needed: tuple[str, ...]) -> None:
    """Raises ValueError unless every stream that was built is there."""
    absent = [stream for stream in needed if stream not in given]
    if absent:
        raise ValueError(
            f"the model gives no {', '.join(absent)}; expected {', '.join(needed)}: "
            f"add the part that makes it, or set fusion.ablate.{absent[0]}=off"
        )


def _normal(width: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(width) * 0.02)
