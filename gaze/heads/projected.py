"""A head that also says, in training, what its features would be in the terms of a teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import ScreenInputs, ScreenPrediction


class Projected(nn.Module):
    """Any head of points with a linear map of its features, which distillation compares with a teacher's.

    Outside of training the map is not used, so exports and predictions don't pay for it.

    Args:
        channels: of the features that come in.
        output: makes the head, given `channels`.
        features: how many this head gives; `hidden[-1]` of most.
        width: of the teacher's features.
    """

    def __init__(self, channels: int, output: Callable[..., nn.Module], features: int, width: int) -> None:
        super().__init__()
        self.output = output(channels=channels)
        self.projection = nn.Linear(features, width)

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        prediction: ScreenPrediction = self.output(features, inputs)
        if not self.training:
            return prediction
        return replace(prediction, projection=self.projection(prediction.features))
