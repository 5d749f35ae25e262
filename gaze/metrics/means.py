"""Figures that are means over pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric


class Means(Metric):
    """Means over the pictures that count for each of some figures; NaN for a figure that none counted for.

    Args:
        names: of the figures.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        for state in ("total", "count"):
            self.add_state(state, torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")

    def add(self, name: str, value: Float[Tensor, "b"], counted: Bool[Tensor, "b"] | None = None) -> None:
        """Add the values of some pictures to a figure: all of them, or those that count."""
        at = self.names.index(name)
        self.total[at] += (value if counted is None else value.masked_fill(~counted, 0.0)).double().sum()
        self.count[at] += len(value) if counted is None else counted.sum()

    def compute(self) -> dict[str, Tensor]:
        return dict(zip(self.names, (self.total / self.count).unbind(), strict=True))
