"""The one home of sign conventions: boxes and points in a picture, gaze directions in front of a camera.

Boxes are (x0, y0, x1, y1) and points (x, y), as fractions of the image unless a name says ``px``;
(0, 0) is the image's top left corner, not the centre of its first pixel. Sizes are (height, width).

A gaze direction is a unit vector in the camera frame: x right, y down, z into the scene, so that
looking into the camera is (0, 0, -1). Pitch and yaw are radians, in this order: positive pitch looks
up, positive yaw looks to the image's left.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# --- Boxes and points --------------------------------------------------------------------------


def clamp_boxes(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """The parts of the boxes that lie inside the image. NaN rows stay NaN."""
    return boxes.clamp(0.0, 1.0)


def box_areas(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Areas in the square of the boxes' unit; an inverted box has none."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0)
    return sides.prod(-1)


def box_centres(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 2"]:
    """The middles (x, y) of the boxes."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def valid_boxes(boxes: Float[Tensor, "*n 4"]) -> Bool[Tensor, "*n"]:
    """Which boxes are finite and have an area inside the image."""
    return boxes.isfinite().all(-1) & (box_areas(clamp_boxes(boxes)) > 0)


def points_to_px(points: Float[Tensor, "*n 2"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 2"]:
    """Points in pixels of an image of `size` (height, width)."""
    return points * size.flip(-1)


def points_from_px(points_px: Float[Tensor, "*n 2"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 2"]:
    """Points given in pixels of an image of `size` (height, width), as fractions of it."""
    return points_px / size.flip(-1)


def boxes_to_px(boxes: Float[Tensor, "*n 4"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 4"]:
    """Boxes in pixels of an image of `size` (height, width)."""
    return boxes * torch.cat([size.flip(-1)] * 2, -1)


def boxes_from_px(boxes_px: Float[Tensor, "*n 4"], size: Int[Tensor, "*#n 2"]) -> Float[Tensor, "*n 4"]:
    """Boxes given in pixels of an image of `size` (height, width), as fractions of it."""
    return boxes_px / torch.cat([size.flip(-1)] * 2, -1)


# --- Directions --------------------------------------------------------------------------------


def pitch_yaw_to_vector(pitch_yaw: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
    """Unit gaze vectors of angles in radians."""
    pitch, yaw = pitch_yaw.unbind(-1)
    return torch.stack([-pitch.cos() * yaw.sin(), -pitch.sin(), -pitch.cos() * yaw.cos()], -1)


def vector_to_pitch_yaw(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 2"]:
    """Pitch in [-pi/2, pi/2] and yaw in (-pi, pi], radians, of vectors of any length but zero."""
    x, y, z = vector.unbind(-1)
    # asin(-y) of the unit vector, written so that rounding cannot leave asin's domain.
    return torch.stack([torch.atan2(-y, torch.hypot(x, z)), torch.atan2(-x, -z)], -1)


def angular_error(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Angles between vectors of any length but zero, radians in [0, pi].

    By atan2(|a x b|, a.b): acos(a.b) loses half its digits near 0 and has an infinite gradient there.
    The gradient at exactly parallel vectors is 0.
    """
    cross = torch.linalg.cross(a, b)
    square = cross.square().sum(-1)
    parallel = square == 0
    sine = torch.where(parallel, 1.0, square).sqrt().masked_fill(parallel, 0.0)
    return torch.atan2(sine, (a * b).sum(-1))
