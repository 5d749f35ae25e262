"""Parts of a split by where people look: bands of yaw and pitch, the front of the sphere, turned heads."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.directions.rows import DirectionRows
from gaze.geometry import angular_error, vector_to_pitch_yaw

YAW_DEG = (0, 15, 30, 45, 60, 90, 180)  # edges of |yaw|; the last one belongs to the last band
PITCH_DEG = (0, 15, 30, 90)  # edges, up and down apart
AXIS_DEG = (0, 10, 20, 30, 45, 60, 90, 180)  # edges of the angle to the camera's axis


class Band(NamedTuple):
    """Samples whose `of` is between two angles."""

    of: str
    name: str
    mask: Bool[Tensor, "n"]


def subsets(rows: DirectionRows) -> Mapping[str, Bool[Tensor, "n"]]:
    """The parts of Gaze360's tables, by the true gaze.

    ``front180``: |yaw| < 90 degrees. What its papers call "front 20" is said nowhere; ``front20_yaw`` is |yaw| <= 20 degrees
    and ``front20_axis`` an angle to the camera's axis of up to 20 degrees.
    """
    yaw = vector_to_pitch_yaw(rows.truth)[:, 1].rad2deg().abs()
    near = 20 + 1e-9
    return {"front180": yaw < 90, "front20_yaw": yaw <= near, "front20_axis": from_axis_deg(rows.truth) <= near}


def gaze_bands(rows: DirectionRows) -> list[Band]:
    """Bands of |yaw|, and of pitch up and down, of the true gaze."""
    pitch, yaw = vector_to_pitch_yaw(rows.truth).rad2deg().unbind(-1)
    up, down = (
        [band._replace(name=f"{side}_{band.name}") for band in _bands("pitch", angle, PITCH_DEG)]
        for side, angle in (("up", pitch), ("down", torch.where(pitch < 0, -pitch, -1.0)))
    )
    return [*_bands("yaw", yaw.abs(), YAW_DEG), *down, *up]


def all_bands(rows: DirectionRows) -> list[Band]:
    """These, bands of the angle to the camera's axis, and bands of the head's |yaw| where it is known."""
    head = rows.head[:, 1].rad2deg().abs()
    axis = _bands("axis", from_axis_deg(rows.truth), AXIS_DEG)
    return [*gaze_bands(rows), *axis, *_bands("head_yaw", head, YAW_DEG)]


def from_axis_deg(gaze: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
    """Angles between gaze and the way into the camera, degrees."""
    return angular_error(gaze, gaze.new_tensor([0.0, 0.0, -1.0]).expand_as(gaze)).rad2deg()


def _bands(of: str, angle: Float[Tensor, "n"], edges: tuple[int, ...]) -> list[Band]:
    found = []
    for low, high in pairwise(edges):
        below = angle <= high + 1e-9 if high == edges[-1] else angle < high
        found.append(Band(of, f"{low}_{high}", (angle >= low) & below))
    return found
