"""Cameras of pictures that are drawn smaller or larger than they are shown."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def scaled_camera(camera: Float[Tensor, "*b 3 3"], factor: float) -> Float[Tensor, "*b 3 3"]:
    """Matrices for pictures whose sides are `factor` times as long; exact, as pixels are counted from corners."""
    return camera * camera.new_tensor([[factor], [factor], [1.0]])
