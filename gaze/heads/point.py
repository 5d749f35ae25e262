"""The point of gaze in centimetres, from a vector of features."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import ScreenInputs, ScreenPrediction


class Standard(nn.Module):
    """The mean and spread of the training split's points, cm: networks regress standardised points.

    They are buffers, so that a saved or exported network gives centimetres by itself. The callback
    `target_statistics` sets them from the training split before the first step.
    """

    mean_cm: Tensor
    unit_cm: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean_cm", torch.zeros(2))
        self.register_buffer("unit_cm", torch.ones(2))

    @property
    def known(self) -> bool:
        """Have they been set, now or in the run that the weights are from?"""
        return bool((self.mean_cm != 0).any() or (self.unit_cm != 1).any())

    def set(self, mean_cm: Float[Tensor, "2"], unit_cm: Float[Tensor, "2"]) -> None:
        """Take the statistics of a training split."""
        self.mean_cm.copy_(mean_cm)
        self.unit_cm.copy_(unit_cm)

    def extra_repr(self) -> str:
        if self.mean_cm.is_meta:
            return ""
        (mx, my), (ux, uy) = self.mean_cm.tolist(), self.unit_cm.tolist()
        return f"mean ({mx:.2f}, {my:.2f}) cm, spread ({ux:.2f}, {uy:.2f}) cm"

    def forward(self, standardised: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
        """Standardised points in cm."""
        return self.mean_cm + self.unit_cm * standardised

    def units(self, like: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
        """cm per standardised unit, for each point of a batch."""
        return self.unit_cm.expand_as(like)


class PointHead(nn.Module):
    """A small perceptron to the point of gaze.

    Args:
        channels: of the features.
        hidden: widths of the layers before the last; the last of them gives the features for calibration.
        activation: makes what follows each of these layers.
        dropout: after each activation.
    """

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int] = (128,),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.hidden = perceptron(channels, hidden, activation, dropout)
        self.point = nn.Linear([channels, *hidden][-1], 2)
        self.standard = Standard()

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        found = self.hidden(features)
        point = self.standard(self.point(found))
        return ScreenPrediction(point, self.standard.units(point), found)


def perceptron(
    channels: int, hidden: Sequence[int], activation: Callable[[], nn.Module], dropout: float = 0.0
) -> nn.Sequential:
    """Linear layers of these widths, each with its activation and, if any, dropout; nothing for no widths."""
    layers: list[nn.Module] = []
    for before, width in zip([channels, *hidden], hidden, strict=False):
        layers += [nn.Linear(before, width), activation(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers)
