"""Losses of how much of each pixel a rendered head covers, against the mask of the photograph."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from gaze.heatmaps import check_mode
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, FacePrediction, Progress

Error = Literal["absolute", "squared"]


class Coverage(Loss):
    """Mean error of the coverage over all pixels: it keeps what is drawn off the white around a head.

    Args:
        error: absolute or squared.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: the error is unknown; later, model or data set don't tell what is compared.
    """

    def __init__(self, error: str = "squared", weight: float | Schedule = 0.1) -> None:
        super().__init__(weight)
        check_mode(error, Error, "error")
        self.squared = error == "squared"

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        alpha, mask = covered(prediction, batch, "mask_l1 and loss.alpha_mse")
        return (alpha - mask).square().mean() if self.squared else (alpha - mask).abs().mean()


class Silhouette(Loss):
    """1 - intersection over union of coverage a and mask b, sum(ab) / sum(a + b - ab), averaged over the samples.

    A picture without a head, of which nothing is covered, costs nothing.
    """

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        alpha, mask = covered(prediction, batch, "silhouette")
        both = (alpha * mask).sum((-2, -1))
        either = alpha.sum((-2, -1)) + mask.sum((-2, -1)) - both
        return ((either - both) / either.clamp(min=1e-6)).mean()


def covered(
    prediction: FacePrediction, batch: Batch, loss: str
) -> tuple[Float[Tensor, "b H W"], Float[Tensor, "b H W"]]:
    """Coverage and mask.

    Raises:
        ValueError: the model does not tell the one, or the data set the other.
    """
    alpha, mask = prediction.alpha, batch.targets.head_mask
    if alpha is None or mask is None:
        what = "coverage (alpha), which the model does" if alpha is None else "masks of heads, which the data set does"
        raise ValueError(f"loss.{loss} needs {what} not give; take the loss out, or choose what gives it")
    return alpha, mask.to(alpha.dtype)
