"""What is said of people whose gaze directions were predicted: in plain numbers, and as arrows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.geometry import box_centres, vector_to_pitch_yaw
from gaze.inference.direction_predictor import SHARE, Directions
from gaze.inference.faces import Faces
from gaze.pictures.scene import Arrow

LENGTH = 1.1  # of an arrow in the picture's plane, of the longer side of its head's box
NO_BOX = 0.3  # of the picture's shorter side, in place of the box of who has none
NEAR_AXIS = math.radians(5)  # gaze that is nearer to the line of sight leads nowhere in the picture
FRAME = {
    "frame": "camera",
    "axes": "x right, y down, z from the camera into the scene; a unit vector",
    "sight": "the same, but z leads from the camera to the face: (0, 0, -1) looks into the camera, wherever the face is",
    "pitch_yaw": "degrees, of the vector before it: up and to the picture's left are positive",
    "cone": f"half the opening of a cone about the gaze that is to hold {SHARE:.0%} of all directions, degrees",
}


def no_face(name: str) -> str:
    """Why nothing is said about a picture."""
    return f"{name}: no face was found; expected one or more, upright and not cut off: give boxes, or leave the picture out"


def heads_of(boxes: Float[Tensor, "n 4"], size: tuple[int, int]) -> list[dict[str, Any]]:
    """`head_bbox` as fractions and `head_bbox_px` in pixels of a picture of `size`; None without a box."""
    scale = torch.tensor([size[1], size[0]] * 2, dtype=torch.float64)
    rows: list[dict[str, Any]] = []
    for box in boxes.double():
        asked = bool(box.isfinite().all())
        rows.append(
            {
                "head_bbox": rounded(box, 5) if asked else None,
                "head_bbox_px": rounded(box * scale, 1) if asked else None,
            }
        )
    return rows


def directions_of(said: Directions, calm: Float[Tensor, "n 3"] | None = None) -> list[dict[str, Any] | None]:
    """The directions in plain numbers; None for people without a face.

    Args:
        calm: filtered gaze, in the camera's frame.
    """
    rows: list[dict[str, Any] | None] = []
    for i, gaze in enumerate(said.gaze):
        if not gaze.isfinite().all():
            rows.append(None)
            continue
        row: dict[str, Any] = {
            "gaze": rounded(gaze, 5),
            "frame": FRAME["frame"],
            "pitch_yaw_deg": angles(gaze),
            "sight": rounded(said.sight[i], 5),
            "sight_pitch_yaw_deg": angles(said.sight[i]),
            "concentration": _number(said.concentration, i, 3),
            "cone_deg": _degrees(said.cone, i),
            "mirror_deg": _degrees(said.disagreement, i),
        }
        if calm is not None:
            row |= {"gaze_smooth": rounded(calm[i], 5), "pitch_yaw_smooth_deg": angles(calm[i])}
        rows.append(row)
    return rows


def agreements(
    sight: Float[Tensor, "n 3"],
    boxes: Float[Tensor, "n 4"],
    targets: Float[Tensor, "n 2"],
    inout: Float[Tensor, "n"] | None,
    size: tuple[int, int],
) -> list[float | None]:
    """Angles in the picture, degrees, between each direction and the line from the middle of the head to the target.

    None where either leads nowhere: gaze along the line of sight, a target out of the frame or in the head's own box, no
    box, no face.

    Args:
        sight: directions in the frame of the line of sight.
        targets: fractions of a picture of `size`, (height, width) in pixels.
        inout: probabilities that the targets are in the frame.
    """
    scale = torch.tensor([size[1], size[0]])
    lines = (targets - box_centres(boxes)) * scale
    own = ((targets >= boxes[:, :2]) & (targets <= boxes[:, 2:])).all(-1)
    axial = torch.atan2(sight[:, :2].norm(dim=-1), sight[:, 2].abs())
    found: list[float | None] = []
    for i, (line, gaze) in enumerate(zip(lines, sight[:, :2], strict=True)):
        known = bool(line.isfinite().all() and gaze.isfinite().all())
        out = inout is not None and float(inout[i]) < 0.5
        if not known or out or bool(own[i]) or float(axial[i]) < NEAR_AXIS:
            found.append(None)
            continue
        cross, dot = gaze[0] * line[1] - gaze[1] * line[0], (gaze * line).sum()
        found.append(round(math.degrees(math.atan2(abs(float(cross)), float(dot))), 2))
    return found


def arrows_of(
    faces: Faces,
    sight: Float[Tensor, "n 3"],
    cone_rad: Float[Tensor, "n"] | None,
    boxes: Float[Tensor, "n 4"],
    size: tuple[int, int],
) -> list[Arrow | None]:
    """What is drawn of the directions on a picture of `size`, (height, width) in pixels; None for people without a face."""
    height, width = size
    sides = ((boxes[:, 2:] - boxes[:, :2]) * torch.tensor([width, height])).amax(-1).nan_to_num(NO_BOX * min(size))
    arrows: list[Arrow | None] = []
    for i, gaze in enumerate(sight):
        x, y = faces.origin[i].tolist()
        opening = None if cone_rad is None else float(cone_rad[i])
        arrow = Arrow((x * width, y * height), gaze, LENGTH * float(sides[i]), opening)
        arrows.append(arrow if gaze.isfinite().all() else None)
    return arrows


def notes_of(
    sight: Float[Tensor, "n 3"], cone_rad: Float[Tensor, "n"] | None, agreement: Sequence[float | None] | None
) -> list[str]:
    """What labels in pictures say: how far direction and target are apart, or, without targets, pitch, yaw and the cone."""
    if agreement is not None:
        return ["" if angle is None else f"apart {angle:.0f}°" for angle in agreement]
    notes = []
    for i, gaze in enumerate(sight):
        if not gaze.isfinite().all():
            notes.append("")
            continue
        pitch, yaw = map(round, angles(gaze))
        border = "" if cone_rad is None else f"  ±{round(math.degrees(float(cone_rad[i])))}°"
        notes.append(f"pitch {pitch}°  yaw {yaw}°{border}")
    return notes


def angles(gaze: Float[Tensor, "3"]) -> list[float]:
    """Pitch and yaw, degrees."""
    return rounded(vector_to_pitch_yaw(gaze.double()).rad2deg(), 2)


def rounded(values: Tensor, digits: int) -> list[float]:
    """Plain numbers."""
    return [round(value, digits) for value in values.tolist()]


def _number(values: Tensor | None, i: int, digits: int) -> float | None:
    return None if values is None else round(float(values[i]), digits)


def _degrees(values: Tensor | None, i: int) -> float | None:
    return None if values is None else round(math.degrees(float(values[i])), 2)
