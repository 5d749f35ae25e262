"""The point of gaze as a Laplace distribution: how sure the model is, beside what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.point import Standard, perceptron
from gaze.types import ScreenInputs, ScreenPrediction


class PointLaplaceHead(nn.Module):
    """A point and, for each axis, the b of a Laplace distribution around it, which the loss `point_laplace` fits.

    log b runs from one limit to the other along a hyperbolic tangent, so that its gradient never vanishes for good;
    an untrained head says their geometric mean, 1 cm.

    Args:
        channels: of the features.
        hidden: widths of the layers before the last.
        activation: makes what follows each of these layers.
        dropout: after each activation.
        least_cm, most_cm: limits of b.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int] = (128,),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        least_cm: float = 0.05,
        most_cm: float = 20.0,
    ) -> None:
        super().__init__()
        if not 0 < least_cm < most_cm:
            raise ValueError(f"head.least_cm is {least_cm} and head.most_cm {most_cm}; expected 0 < least_cm < most_cm")
        self.hidden = perceptron(channels, hidden, activation, dropout)
        width = [channels, *hidden][-1]
        self.point, self.scale = nn.Linear(width, 2), nn.Linear(width, 2)
        self.middle = math.log(least_cm * most_cm) / 2
        self.reach = math.log(most_cm / least_cm) / 2
        self.standard = Standard()

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        found = self.hidden(features)
        point = self.standard(self.point(found))
        log_scale = self.middle + self.reach * (self.scale(found) / self.reach).tanh()
        return ScreenPrediction(point, self.standard.units(point), found, log_scale=log_scale)
