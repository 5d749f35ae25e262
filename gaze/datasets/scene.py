"""A picture with the people in it, on its way from the file to a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Scene:
    """One image, its heads, and where annotators said each of them looks; fractions of the image."""

    image: UInt8[Tensor, "3 H W"]
    head_bbox: Float[Tensor, "n 4"]  # x0, y0, x1, y1, within [0, 1]
    points: Float[Tensor, "n a 2"]  # x, y, within [0, 1]; NaN where there is none


@runtime_checkable
class Augmentation(Protocol):
    """Another view of the same scene, with labels that are true of it."""

    def __call__(self, scene: Scene, generator: torch.Generator) -> Scene: ...


def probable(name: str, value: float) -> float:
    """The value, if it is a probability."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} is {value}; expected a probability, from 0 to 1")
    return float(value)
