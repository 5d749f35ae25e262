"""What every loss term is."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from gaze.schedules import Schedule
from gaze.types import Batch, Progress


class Loss(nn.Module):
    """A term of the objective: a scalar, and the weight it is added with.

    Args:
        weight: a number, or a schedule of one. A term whose weight is 0 is not computed.

    Attributes:
        title: what people call it, for the lines at the start; empty where its name in the config says it.
    """

    title: str = ""

    def __init__(self, weight: float | Schedule = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def train(self, mode: bool = True) -> Loss:
        """Tell the term alone whether it is asked in training: models inside of it are finished, and stay as they are."""
        self.training = mode
        return self

    def forward(self, prediction: Any, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        """The unweighted term, averaged over what the batch holds of it, in float32."""
        raise NotImplementedError
