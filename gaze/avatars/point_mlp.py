"""A network that is asked about many points of a few samples: what samples share is computed once for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SLOPE = 0.01  # of the leaky ReLU


class PointMLP(nn.Module):
    """A fully connected network of a point and a code, which sees its input again half way.

    In the published notation [d0, ..., dn] with d0 = point + code, layer (n + 1) // 2 reads the input beside what is hidden.
    A code is constant over the points of a sample, so its part of these layers is computed once for each sample and added:
    W [x; c] = W_x x + W_c c, without an approximation.

    Args:
        point: numbers of each point.
        code: numbers of each sample; 0: none.
        widths: of the hidden layers.
        out: numbers that each point gets.
        last_zero: begin with zeros as answer.
    """

    # FSDP2 gathers them with this module: it reads their weights itself.
    reads_weights_of = ("layers",)

    def __init__(self, point: int, code: int, widths: Sequence[int], out: int, last_zero: bool = False) -> None:
        super().__init__()
        self.point, self.code, self.skip = point, code, (len(widths) + 2) // 2 if widths else -1
        again = [point + code if i == self.skip else 0 for i in range(len(widths) + 1)]
        pairs = zip(pairwise([point + code, *widths, out]), again, strict=True)
        self.layers = nn.ModuleList(nn.Linear(before + more, after) for (before, after), more in pairs)
        if last_zero:
            for tensor in self._layer(len(widths)):
                nn.init.zeros_(tensor)

    def forward(
        self, points: Float[Tensor, "#b g p"], code: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b g o"]:
        """What each point gets in each sample, in the number format of the points whatever the network runs in.

        Points that all samples share have one row.
        """
        hidden = self._read(0, points, code)
        shape = hidden.shape[:2]
        for i in range(1, len(self.layers)):
            weight, bias = self._layer(i)
            flat = F.leaky_relu(hidden, SLOPE, inplace=True).flatten(0, -2)  # in place on what must not be a view
            if i == self.skip:
                made = F.linear(flat, weight[:, : flat.shape[-1]])
                hidden = self._read(i, points, code) + made.unflatten(0, shape)
            else:
                hidden = F.linear(flat, weight, bias)
        return hidden.to(points.dtype).view(*shape, hidden.shape[-1])

    def _read(self, i: int, points: Tensor, code: Tensor | None) -> Tensor:
        """What a layer makes of the input, with its bias."""
        weight, bias = self._layer(i)
        own = weight[:, -(self.point + self.code) :]
        if code is None:
            return F.linear(points, own, bias)
        return F.linear(points, own[:, : self.point]) + F.linear(code, own[:, self.point :], bias)[:, None]

    def _layer(self, i: int) -> tuple[Tensor, Tensor]:
        layer = self.layers[i]
        assert isinstance(layer, nn.Linear)
        return layer.weight, layer.bias


def neutral(x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
    """Values that a tanh may have had before it, of values in [-1, 1]; not infinite at the ends."""
    return torch.atanh(x.clamp(-1 + 1e-5, 1 - 1e-5))
