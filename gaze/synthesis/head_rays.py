"""The rays of the pixels of pictures of heads, in the canonical frames of the heads.

Coordinates are planes [b p] of float32, p the rays of a picture. A ray's direction has length 1 along the camera's
axis, so that its parameter is the depth in the camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.rotations import vector_to_matrix
from gaze.types import FaceInputs

Point = tuple[Tensor, Tensor, Tensor]  # x, y, z: planes, or what broadcasts with them


@dataclass(frozen=True)
class HeadRays:
    """origin + depth * direction, for each ray."""

    origin: Point  # each [b 1]
    direction: Point  # each [b p]
    footprint: Float[Tensor, "b 1"]  # distance of neighbouring rays at the head, canonical units

    def at(self, depth: Float[Tensor, "b p"]) -> Point:
        """Points of the rays."""
        x, y, z = (o + depth * d for o, d in zip(self.origin, self.direction, strict=True))
        return x, y, z


def cast_head_rays(inputs: FaceInputs, size: int, rays: int) -> HeadRays:
    """Rays through the pictures of heads, evenly spread.

    Args:
        inputs: double precision, or a part of it is lost far from the origin.
        size: of the pictures that `inputs.camera` is for, px.
        rays: in a row, and rows.
    """
    place = (torch.arange(rays, dtype=inputs.camera.dtype) + 0.5) * (size / rays)
    turn = inputs.world_to_camera[:, :3, :3] @ vector_to_matrix(inputs.pose[:, :3])  # canonical to camera
    back = turn.mT / inputs.scale[:, None, None]
    shift = inputs.world_to_camera[:, :3, :3] @ inputs.pose[:, 3:, None] + inputs.world_to_camera[:, :3, 3:]
    origin = -(back @ shift)[..., 0]
    column, row, ahead = (back @ torch.linalg.inv(inputs.camera)).float().unbind(-1)  # [b 3] each
    place = place.float()
    direction = [
        ((row[:, a, None] * place + ahead[:, a, None])[:, :, None] + (column[:, a, None] * place)[:, None]).flatten(1)
        for a in range(3)
    ]
    footprint = shift[:, 2, 0] / inputs.camera[:, 0, 0] * (size / rays) / inputs.scale
    x, y, z = origin.float()[..., None].unbind(1)
    return HeadRays((x, y, z), (direction[0], direction[1], direction[2]), footprint.float()[:, None])


def meet(
    origin: Point, direction: Point, centre: Point, axes: Point
) -> tuple[Float[Tensor, "*b p"], Bool[Tensor, "*b p"]]:
    """Depths at which rays enter ellipsoids, and whether they do; else the depth at which they come nearest."""
    px, py, pz = ((o - c) / a for o, c, a in zip(origin, centre, axes, strict=True))
    ex, ey, ez = (d / a for d, a in zip(direction, axes, strict=True))
    squared = ex * ex + ey * ey + ez * ez
    along = (px * ex + py * ey + pz * ez) / squared
    inside = along * along - (px * px + py * py + pz * pz - 1) / squared
    return -along - inside.clamp_min(0).sqrt(), inside > 0
