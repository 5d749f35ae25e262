"""How likely the truth is under the distribution that a head predicts."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from gaze.losses.point import PointLoss
from gaze.types import ScreenPrediction


class PointLaplace(PointLoss):
    """The negative log-likelihood of a Laplace distribution around the point, |e| / b + ln 2b, summed over both axes.

    Errors and b are cm. The head keeps b in [0.05, 20] cm, so that neither certainty nor doubt runs away.

    Raises:
        ValueError: the head predicts no scale.
    """

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        log_scale = prediction.log_scale
        if log_scale is None:
            raise ValueError("point_laplace needs a head that predicts its uncertainty: head=point_laplace")
        error = (prediction.point - point).abs()
        return (error * (-log_scale).exp() + log_scale + math.log(2)).sum(-1)
