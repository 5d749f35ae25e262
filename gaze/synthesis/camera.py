"""The perspective camera of synthetic scenes.

It looks straight ahead, along +z, and its principal point lies above the middle of the image, as with
a shift lens: the camera sees floor and people from above while verticals stay vertical.
Camera frame: x right, y down, z into the scene (the project's convention). Lengths are in head radii.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """One camera per scene; all share size and focal length."""

    height: int  # px
    width: int  # px
    focal: float  # px
    horizon: Float64[Tensor, "b"]  # row of the principal point, px

    @property
    def short_side(self) -> int:
        """The shorter side of the image, px."""
        return min(self.height, self.width)

    @property
    def center(self) -> float:
        """The column of the principal point, px."""
        return self.width / 2

    def project(self, points: Float64[Tensor, "b *n 3"]) -> Float64[Tensor, "b *n 2"]:
        """Where 3D points appear, (x, y) in px."""
        x, y, z = points.unbind(-1)
        horizon = self.horizon.reshape(-1, *[1] * (z.ndim - 1))
        return torch.stack([self.center + self.focal * x / z, horizon + self.focal * y / z], -1)

    def locate(
        self, column: Float64[Tensor, "b *n"], row: Float64[Tensor, "b *n"], depth: Float64[Tensor, "b *n"]
    ) -> Float64[Tensor, "b *n 3"]:
        """The 3D points at pixel (column, row) and the given depth z; the inverse of `project`."""
        horizon = self.horizon.reshape(-1, *[1] * (depth.ndim - 1))
        return torch.stack(
            [(column - self.center) * depth / self.focal, (row - horizon) * depth / self.focal, depth], -1
        )

    def rows(self, scene: Int64[Tensor, "m"]) -> Float64[Tensor, "m"]:
        """The horizon of each named scene, px."""
        return self.horizon[scene]

    def ball_box(self, center: Float64[Tensor, "b *n 3"], radius: Float64[Tensor, "b *n"]) -> Float64[Tensor, "b *n 4"]:
        """The exact bounding box (x0, y0, x1, y1) of balls in the image, px."""
        x, y, z = center.unbind(-1)
        horizon = self.horizon.reshape(-1, *[1] * (z.ndim - 1))
        below = z**2 - radius**2
        across = radius * (x**2 + below).sqrt()
        upright = radius * (y**2 + below).sqrt()
        x0, x1 = (x * z - across) / below, (x * z + across) / below
        y0, y1 = (y * z - upright) / below, (y * z + upright) / below
        f, c = self.focal, self.center
        return torch.stack([c + f * x0, horizon + f * y0, c + f * x1, horizon + f * y1], -1)
