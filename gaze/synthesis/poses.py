"""Rotations of heads and bodies.

A head's own frame is x to image right when it faces the camera, y down, z into the head: it faces its -z,
which is how the project writes "looking into the camera".
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def rotation(
    pitch: Float64[Tensor, "*n"], yaw: Float64[Tensor, "*n"], roll: Float64[Tensor, "*n"]
) -> Float64[Tensor, "*n 3 3"]:
    """The matrix from a head's own frame to the camera's; -z goes to the direction (pitch, yaw), rad."""
    one, zero = torch.ones_like(yaw), torch.zeros_like(yaw)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries, -1).unflatten(-1, (3, 3))

    turn = matrix(yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos())
    nod = matrix(one, zero, zero, zero, pitch.cos(), pitch.sin(), zero, -pitch.sin(), pitch.cos())
    tilt = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return turn @ nod @ tilt


def upright(yaw: Float64[Tensor, "*n"]) -> Float64[Tensor, "*n 3 3"]:
    """The rotation of something that stands upright and faces `yaw`, rad."""
    return rotation(torch.zeros_like(yaw), yaw, torch.zeros_like(yaw))


def unit(vectors: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """The vectors at length 1."""
    return vectors / vectors.norm(dim=-1, keepdim=True)


def moved(
    start: Float64[Tensor, "*#n 3"], rotation: Float64[Tensor, "*#n 3 3"], offset: Float64[Tensor, "*#n 3"]
) -> Float64[Tensor, "*n 3"]:
    """The points at `offset`, given in a rotated frame, from `start`."""
    return start + (rotation @ offset[..., None])[..., 0]
