"""What Gaussians look like to a camera."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gaze.types import Record


@dataclass(frozen=True)
class Rendered(Record):
    """One picture per sample."""

    feature: Float[Tensor, "b c h w"]  # over the background
    alpha: Float[Tensor, "b h w"]  # how much of a pixel is covered, 0 to 1
    depth: Float[Tensor, "b h w"]  # mean z of what is seen in units of the world; 0 where there is nothing
