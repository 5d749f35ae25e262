"""Terms and figures that the stub systems share."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, Progress


class Distance(Loss):
    """Mean squared difference of one field, which prediction and targets both have.

    Args:
        field: its name: "point", "gaze" or "image".
    """

    def __init__(self, field: str, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        self.field = field

    def forward(self, prediction: Any, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        return (getattr(prediction, self.field) - getattr(batch.targets, self.field)).square().mean()


class MeanDistance(Metric):
    """Mean Euclidean distance of one field, in its own unit, under a name that says which.

    Args:
        field: name of the field; `name` of the figure.
    """

    def __init__(self, field: str, name: str) -> None:
        super().__init__()
        self.field, self.name = field, name
        self.total: Tensor
        self.count: Tensor
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Any, targets: Any) -> None:
        """Add a batch."""
        difference = getattr(prediction, self.field) - getattr(targets, self.field)
        self.total += difference.flatten(1).norm(dim=1).sum()
        self.count += len(difference)

    def compute(self) -> dict[str, Tensor]:
        """The distance, averaged over samples."""
        return {self.name: self.total / self.count}
