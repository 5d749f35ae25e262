"""What a model asks to minimise beside its task: even use of experts, codes near their queries, smooth meshes."""

from __future__ import annotations

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from gaze.heatmaps import check_mode
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, Progress

Of = Literal["balance", "router_z", "commitment", "prompt_shift", "deformation", "surface_distance", "roughness"]


class Auxiliary(Loss):
    """A scalar that the prediction brings along.

    Args:
        of: the field of `gaze.types.DirectionPrediction` or `FacePrediction`.
        weight: of this term, a number or a schedule.
    """

    def __init__(self, of: str, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        check_mode(of, Of, "of")
        self.of = of

    def forward(self, prediction: Any, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        """The field.

        Raises:
            ValueError: the model has nothing of the kind.
        """
        value: Tensor | None = getattr(prediction, self.of, None)
        if value is None:
            raise ValueError(f"the model says nothing of {self.of}; take the loss that asks for it out, or weight it 0")
        return value
