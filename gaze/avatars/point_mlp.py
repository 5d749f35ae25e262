"""A network that is asked about many points of a few samples: what samples share is computed once for each."""

from __future__ import annotations

from collections.abc import Sequence

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

    def __init__(self, point: int, code: int, widths: Sequence[int], out: int, last_zero: bool = False) -> None:
        super().__init__()
        self.point, self.code, self.skip = point, code, (len(widths) + 2) // 2
        wide = [point + code, *widths, out]
        self.layers = nn.ModuleList(
            nn.Linear(before + (point + code if i == self.skip and i > 0 else 0), after)
            for i, (before, after) in enumerate(zip(wide[:-1], wide[1:], strict=True))
        )
        if last_zero:
            nn.init.zeros_(self.layers[-1].weight)
            nn.init.zeros_(self.layers[-1].bias)

    def forward(
        self, points: Float[Tensor, "#b g p"], code: Float[Tensor, "b c"] | None = None
    ) -> Float[Tensor, "b g o"]:
        """What each point gets in each sample. Points that all samples share have one row."""
        hidden = points
        for i, layer in enumerate(self.layers):
            if i > 0:
                hidden = F.leaky_relu(hidden, SLOPE)
            if i == 0 or i == self.skip:
                hidden = self._with_input(layer, hidden if i else None, points, code)
            else:
                hidden = layer(hidden)
        return hidden

    def _with_input(self, layer: nn.Module, hidden: Tensor | None, points: Tensor, code: Tensor | None) -> Tensor:
        weight, bias = layer.weight, layer.bias
        before = 0 if hidden is None else hidden.shape[-1]
        answer = F.linear(points, weight[:, before : before + self.point])
        if code is not None:
            answer = answer + F.linear(code, weight[:, before + self.point :], bias)[:, None]
        else:
            answer = answer + bias
        return answer if hidden is None else answer + F.linear(hidden, weight[:, :before])


def neutral(x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
    """Values that a tanh may have had before it, of values in [-1, 1]; not infinite at the ends."""
    return torch.atanh(x.clamp(-1 + 1e-5, 1 - 1e-5))
