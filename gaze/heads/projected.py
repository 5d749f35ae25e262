"""A head that also says, in training, what its features would be in the terms of a teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import ScreenInputs, ScreenPrediction


class Projected(nn.Module):
    """Any head of points with a linear map of its features, which distillation compares with a teacher's.

    Outside of training the map is not used, so exports and predictions don't pay for it.

    Args:
        channels: of the features that come in.
        output: makes the head, given `channels`, `hidden` and `options`.
        width: of the teacher's features.
        hidden: widths of the head's layers before its last; the last of them is that of its features.
        options: what else the head takes, so that what a model says of its head holds with a projection, too.
    """

    def __init__(
        self,
        channels: int,
        output: Callable[..., nn.Module],
        width: int,
        hidden: Sequence[int] = (128,),
        **options: Any,
    ) -> None:
        super().__init__()
        self.output = output(channels=channels, hidden=hidden, **options)
        self.projection = nn.Linear([channels, *hidden][-1], width)

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        prediction: ScreenPrediction = self.output(features, inputs)
        if not self.training:
            return prediction
        return replace(prediction, projection=self.projection(prediction.features))
