"""The rays of the pixels of crops, in the frame of the head they look at, and soft edges.

Coordinates are planes [b p] of float32, p the pixels of a crop: elementwise work on planes of a few samples stays in
a core's cache. A ray's direction has length 1 along the camera's axis, so that its parameter is depth in cm.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.synthesis.faces import Faces


@dataclass(frozen=True)
class Rays:
    """origin + depth * direction, for each pixel."""

    origin: tuple[Tensor, Tensor, Tensor]  # x, y, z, each [b 1], cm
    direction: tuple[Tensor, Tensor, Tensor]  # x, y, z, each [b p]
    footprint: Float[Tensor, "b 1"]  # of a pixel at the head, cm


def cast_rays(faces: Faces, boxes: Float[Tensor, "b 4"], size: tuple[int, int]) -> Rays:
    """Rays through the pixels of crops.

    Args:
        faces: float32.
        boxes: (x, y, w, h) in px of the frame.
        size: height and width of the crops, px.
    """
    height, width = size
    corner = (boxes[:, :2] - faces.view.centre) / faces.view.focal[:, None]
    step = boxes[:, 2:] / faces.view.focal[:, None] / boxes.new_tensor([width, height])
    x = corner[:, :1] + (torch.arange(width) + 0.5) * step[:, :1]
    y = corner[:, 1:] + (torch.arange(height) + 0.5) * step[:, 1:]
    turn = faces.rotation  # its transpose takes the camera's frame to the head's
    direction = [
        ((turn[:, 1, a, None] * y + turn[:, 2, a, None])[:, :, None] + (turn[:, 0, a, None] * x)[:, None]).flatten(1)
        for a in range(3)
    ]
    origin = -(faces.position[:, None] @ turn)[:, 0]
    a, b, c = origin[:, :1], origin[:, 1:2], origin[:, 2:]
    footprint = step.mean(1, keepdim=True) * faces.position[:, 2:]
    return Rays((a, b, c), (direction[0], direction[1], direction[2]), footprint)


def ramp(distance: Float[Tensor, "*n"], width: Float[Tensor, "*#n"] | float) -> Float[Tensor, "*n"]:
    """How much of a pixel lies inside an edge, 0 to 1: soft over `width`, which carries sub-pixel gaze."""
    return (distance / width).add_(0.5).clamp_(0, 1)
