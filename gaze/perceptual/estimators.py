"""A finished model of another run as an estimator of directions in pictures of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.losses.direction import normalised
from gaze.losses.teacher import record_read
from gaze.perceptual.network import frozen, resized
from gaze.types import DirectionInputs


class Estimator(nn.Module):
    """Unit vectors of the directions that a frozen model sees in pictures; gradients reach the pictures.

    Args:
        model: from `DirectionInputs` to `DirectionPrediction`, such as `gaze.runs.load_model` gives.
        size: (height, width) px that pictures are resized to. None: what its run was trained on, if it says so.
        whose: the config key of what asks, for the message.

    Raises:
        ValueError: it is a model of another task.
    """

    def __init__(
        self, model: nn.Module, size: Sequence[int] | None = None, whose: str = "loss.redirected_gaze"
    ) -> None:
        super().__init__()
        name = record_read(model)
        if name not in (None, DirectionInputs.__name__):
            raise ValueError(
                f"{whose}.estimator is a {type(model).__name__}, which reads {name}; expected a model that reads "
                f"{DirectionInputs.__name__}: set {whose}.estimator.run to a run that estimates directions"
            )
        self.model: Any = frozen(model)
        size = size or getattr(model, "face_size", None)
        self.size = None if size is None else tuple(size)

    def train(self, mode: bool = True) -> Estimator:
        """Stay in eval mode: it is finished."""
        return super().train(False)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3"]:
        """Directions in the camera frame."""
        return normalised(self.model(DirectionInputs(resized(image, self.size))).gaze.float())[0]

    def seen(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3"]:
        """The same without a gradient."""
        with torch.no_grad():
            return self(image)
