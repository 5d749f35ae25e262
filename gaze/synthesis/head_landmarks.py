"""Landmarks and vertices of synthetic heads: points on what is drawn, in the order of iBUG's 68 points."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.head_anatomy import CENTRE_Y, CENTRE_Z, LIPS, MOUTH_WIDTH, MOUTH_Y, NOSE_Y, Anatomy, front

EYE_WIDTH = 0.95  # half the width of the opening between the lids, parts of the eyeball's radius
BROW_WIDTH = 0.2  # half
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
# Places along an eye, in eyeball radii, and whether they lie on the upper (1) or the lower lid (-1)
EYE_X = (-0.9, -0.45, 0.45, 0.9, 0.45, -0.45)
EYE_LID = (0.0, 1.0, 1.0, 0.0, -1.0, -1.0)


def landmarks_of(anatomy: Anatomy) -> Float[Tensor, "b 68 3"]:
    """68 points: jaw 17, brows 10, nose 9, eyes 12, mouth 20; left and right as pictures show them."""
    brows = [_brow(anatomy, side) for side in (-1, 1)]
    eyes = [_eye(anatomy, side) for side in (-1, 1)]
    return torch.cat([_jaw(anatomy), *brows, _nose(anatomy), *eyes, _lips(anatomy)], 1)


def vertices_of(anatomy: Anatomy, count: int = 2000) -> Float[Tensor, "b v 3"]:
    """Points all over the skull, evenly along a spiral of golden angles."""
    place = torch.arange(count, dtype=anatomy.axes.dtype)
    height = 1 - (2 * place + 1) / count
    ring = (1 - height.square()).sqrt()
    ball = torch.stack([ring * (GOLDEN_ANGLE * place).sin(), height, ring * (GOLDEN_ANGLE * place).cos()], -1)
    return ball * anatomy.axes[:, None] + ball.new_tensor([0, CENTRE_Y, CENTRE_Z])


def lid_height(lid: Float[Tensor, "*#n"], radius: Float[Tensor, "*#n"], x: Float[Tensor, "*#n"]) -> Float[Tensor, "*n"]:
    """How high the upper lid stands above the middle of an eye, and the lower one below it."""
    return lid * (1 - (x / (EYE_WIDTH * radius)).square())


def _jaw(anatomy: Anatomy) -> Tensor:
    angle = torch.linspace(0, math.pi, 17, dtype=anatomy.axes.dtype)
    x = -0.95 * anatomy.axes[:, :1] * angle.cos()
    y = CENTRE_Y - 0.95 * anatomy.axes[:, 1:2] * angle.sin()
    return _on_skull(anatomy, x, y)


def _brow(anatomy: Anatomy, side: int) -> Tensor:
    along = torch.linspace(-BROW_WIDTH, BROW_WIDTH, 5, dtype=anatomy.axes.dtype)
    x = side * anatomy.eye[:, :1] + along
    return _on_skull(anatomy, x, anatomy.brow[:, None].expand_as(x))


def _nose(anatomy: Anatomy) -> Tensor:
    tip = torch.full_like(anatomy.brow, NOSE_Y)
    down = torch.linspace(0, 1, 4, dtype=anatomy.axes.dtype)
    bridge_y = torch.lerp(anatomy.eye[:, 1:2], tip[:, None], down)
    below_x = anatomy.nose[:, :1] * torch.linspace(-0.8, 0.8, 5, dtype=anatomy.axes.dtype)
    below_y = torch.full_like(below_x, NOSE_Y - 0.1)
    x, y = torch.cat([torch.zeros_like(bridge_y), below_x], 1), torch.cat([bridge_y, below_y], 1)
    width, height, depth = anatomy.nose[:, None].unbind(-1)
    inside = 1 - (x / width).square() - ((y - NOSE_Y) / height).square()
    bump = anatomy.nose_z[:, None] + depth * inside.clamp_min(0).sqrt()
    skull = front(anatomy.axes[:, None], x, y)
    return torch.stack([x, y, torch.where(inside > 0, torch.maximum(bump, skull), skull)], -1)


def _eye(anatomy: Anatomy, side: int) -> Tensor:
    radius, lid = anatomy.eye_radius[:, None], anatomy.lid[:, None]
    x = radius * radius.new_tensor(EYE_X)
    y = lid_height(lid, radius, x) * radius.new_tensor(EYE_LID)
    z = (radius.square() - x.square() - y.square()).sqrt()
    centre = anatomy.eye * anatomy.eye.new_tensor([side, 1, 1])
    return centre[:, None] + torch.stack([x, y, z], -1)


def _lips(anatomy: Anatomy) -> Tensor:
    """Along the outer edge from the left corner over the upper to the lower lip, then along the inner edge."""
    parts = [
        _edge(anatomy, 1.0, LIPS + anatomy.opening, 12),
        _edge(anatomy, 0.8, anatomy.opening, 8),
    ]
    return torch.cat(parts, 1)


def _edge(anatomy: Anatomy, width: float, height: Float[Tensor, "b"], count: int) -> Tensor:
    angle = math.pi * (1 - 2 * torch.arange(count, dtype=height.dtype) / count)
    x = (width * MOUTH_WIDTH * angle.cos()).expand(len(height), -1)
    y = MOUTH_Y + anatomy.smile[:, None] * (x / MOUTH_WIDTH).square() + height[:, None] * angle.sin()
    return _on_skull(anatomy, x, y)


def _on_skull(anatomy: Anatomy, x: Tensor, y: Tensor) -> Tensor:
    return torch.stack([x, y, front(anatomy.axes[:, None], x, y)], -1)
