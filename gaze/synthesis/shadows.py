"""Soft shadows on the floor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from gaze.synthesis.camera import Camera
from gaze.synthesis.primitives import Primitive, plane


@dataclass(frozen=True)
class Shadows(Primitive):
    """Dark ellipses that fade outwards."""

    x: Float64[Tensor, "m"]  # px, centre
    y: Float64[Tensor, "m"]
    width: Float64[Tensor, "m"]  # px, half axis
    height: Float64[Tensor, "m"]
    strength: Float64[Tensor, "m"]  # share of the light that is missing in the middle, 0 to 1

    def bounds(self) -> Float64[Tensor, "m 4"]:
        return torch.stack([self.x - self.width, self.y - self.height, self.x + self.width, self.y + self.height], -1)

    def shade(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m 3 h w"], Float32[Tensor, "m 1 h w"]]:
        dx, dy = (x - self.x[:, None, None]).float(), (y - self.y[:, None, None]).float()
        a, b, strength = plane(1 / self.width**2, 1 / self.height**2, self.strength)
        inside = ((1.0 - a * dx * dx) - b * dy * dy).clamp_(0.0, 1.0)
        alpha = (inside * inside * strength)[:, None]
        return torch.zeros_like(alpha).expand(-1, 3, -1, -1), 1.0 - alpha


def shadows(
    camera: Camera,
    center: Float64[Tensor, "m 3"],
    radius: Float64[Tensor, "m"],
    strength: Float64[Tensor, "m"],
    scene: Tensor,
) -> Shadows:
    """Round shadows at points of the floor, radius in head radii; drawn before everything else."""
    x, y, z = center.unbind(-1)
    width = camera.focal * radius / z
    return Shadows(
        scene=scene,
        depth=torch.full_like(z, torch.inf),
        layer=torch.zeros_like(scene),
        x=camera.center + camera.focal * x / z,
        y=camera.rows(scene) + camera.focal * y / z,
        width=width,
        height=(width * y / z).clamp_min(1.0),
        strength=strength,
    )
