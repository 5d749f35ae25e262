"""Boxes of eyes and faces from landmarks, and which landmarks are too poor to give any."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.geometry import points_to_px
from gaze.landmarks.points import LEFT_BLINK, LEFT_CORNERS, MESH, RIGHT_BLINK, RIGHT_CORNERS

EYE_SCALE = 1.5  # sides of an eye's box, of the distance between its corners
FACE_SCALE = 1.25  # sides of a face's box, of the longer side of what holds its landmarks
LEAST_CORNERS_PX = 12.0  # below this an eye has too few pixels
MOST_BLINK = 0.6  # blendshape score above which an eye is closed

# Why a sample can't be used; the first that holds is given.
NO_LANDMARKS, SMALL_EYES, BLINK, SWAPPED = "no landmarks", "eyes too small", "blink", "eyes swapped"


def eye_boxes(
    landmarks: Float[Tensor, "*b l d"], frame_size: Int[Tensor, "*#b 2"], scale: float = EYE_SCALE
) -> tuple[Float[Tensor, "*b 4"], Float[Tensor, "*b 4"]]:
    """Square boxes (x, y, width, height) in px of the left and of the right eye.

    Args:
        landmarks: all 468 or 478, as fractions of the frame; NaN gives NaN.
        frame_size: (height, width) in px.
    """
    boxes = []
    for corners in (LEFT_CORNERS, RIGHT_CORNERS):
        ends = _px(landmarks[..., corners, :2], frame_size)
        side = scale * (ends[..., 0, :] - ends[..., 1, :]).norm(dim=-1)
        boxes.append(_square(ends.mean(-2), side))
    return boxes[0], boxes[1]


def face_boxes(
    landmarks: Float[Tensor, "*b l d"], frame_size: Int[Tensor, "*#b 2"], scale: float = FACE_SCALE
) -> Float[Tensor, "*b 4"]:
    """Square boxes (x, y, width, height) in px around the faces; arguments as of `eye_boxes`."""
    points = _px(landmarks[..., :MESH, :2], frame_size)  # irises lie within
    low, high = points.amin(-2), points.amax(-2)
    return _square((low + high) / 2, scale * (high - low).amax(-1))


def rejections(
    landmarks: Float[Tensor, "b l d"],
    frame_size: Int[Tensor, "#b 2"],
    blendshapes: Float[Tensor, "b s"] | None = None,
    least_corners_px: float = LEAST_CORNERS_PX,
    most_blink: float = MOST_BLINK,
) -> list[str | None]:
    """Why each sample can't be used, or None. Blendshapes may be NaN, which says nothing."""
    left, right = eye_boxes(landmarks, frame_size, scale=1.0)
    closed = torch.zeros(len(landmarks), dtype=torch.bool)
    if blendshapes is not None:
        closed = (blendshapes[:, [LEFT_BLINK, RIGHT_BLINK]] > most_blink).any(-1)
    found: list[str | None] = [None] * len(landmarks)
    for reason, holds in (  # from the weakest to the one that is given first
        (SWAPPED, eyes_swapped(left, right)),
        (BLINK, closed),
        (SMALL_EYES, torch.minimum(left[:, 2], right[:, 2]) < least_corners_px),
        (NO_LANDMARKS, ~landmarks[:, :MESH, :2].isfinite().flatten(1).all(1)),
    ):
        for row in holds.nonzero()[:, 0].tolist():
            found[row] = reason
    return found


def eyes_swapped(
    left_eye: Float[Tensor, "*b 4"], right_eye: Float[Tensor, "*b 4"], frame_rotation_deg: float = 0.0
) -> Bool[Tensor, "*b"]:
    """Where the left eye's box (x, y, width, height; px) is not at the image's right of the right eye's.

    Then the boxes are exchanged, or the picture is mirrored or upside down; NaN is not counted.

    Args:
        frame_rotation_deg: by how much the frame must yet be turned, counter-clockwise, to be upright.
    """
    apart = (left_eye[..., :2] + left_eye[..., 2:] / 2) - (right_eye[..., :2] + right_eye[..., 2:] / 2)
    turn = math.radians(frame_rotation_deg)
    return math.cos(turn) * apart[..., 0] + math.sin(turn) * apart[..., 1] < 0


def swapped_report(swapped: Bool[Tensor, "n"], names: list[str]) -> str | None:
    """One sentence on the samples whose eyes are exchanged, or None where there are none."""
    rows = swapped.nonzero()[:, 0].tolist()
    if not rows:
        return None
    examples = ", ".join(names[row] for row in rows[:3])
    return (
        f"{len(rows)} of {len(names)} samples ({len(rows) / len(names):.0%}) have the left eye at the image's left of the "
        f"right eye, as {examples}; left and right mean the person's own, so in a picture that is not mirrored the left eye "
        "is at the right: exchange the two columns, or turn or mirror the pictures back"
    )


def _px(points: Tensor, frame_size: Tensor) -> Float[Tensor, "*b k 2"]:
    return points_to_px(points, frame_size[..., None, :])


def _square(centre: Tensor, side: Tensor) -> Float[Tensor, "*b 4"]:
    return torch.cat([centre - side[..., None] / 2, side[..., None].expand(*side.shape, 2)], -1)
