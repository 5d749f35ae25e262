"""What a mirror and a roll of the camera do to a frame and to everything that is said of it.

A camera in a mirrored world, or one that is rolled, sees the picture mirrored or turned. Where the user looks is
then elsewhere in the camera's axes, by the rules below; points of the screen's plane turn against the picture,
because their x runs against the x of a picture that is not mirrored (gaze/geometry.py). The user's own left and
right trade places in a mirror and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.datasets.screen_view import EYES, Box, Picture, ScreenView, cut, turned_point
from gaze.types import ScreenTargets

_OTHER = {"left_eye": "right_eye", "right_eye": "left_eye"}
_MIRRORED_ORIENTATION = {1: 1, 2: 2, 3: 4, 4: 3}
# Gravity and acceleration are arrows and lose their x; a rate of rotation is an axis, and a mirror that takes x
# leaves of the rotations only that about x as it is.
_MIRRORED_IMU = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0)


def mirrored(view: ScreenView) -> ScreenView:
    """Left and right exchanged, the user's eyes with them.

    Raises:
        ValueError: there is one eye without the other, or landmarks whose mirror images nobody knows.
    """
    view = cut(view)
    if len([eye for eye in EYES if eye in view.pictures]) == 1:
        raise ValueError(
            "a mirror turns a left eye into a right one; give streams both left_eye and right_eye, or none"
        )
    width = view.frame_size[0]
    boxes, pictures = {}, {}
    for stream, (x, y, w, h) in view.boxes.items():
        boxes[_OTHER.get(stream, stream)] = (width - x - w, y, w, h) if stream in view.placed else (x, y, w, h)
    for stream, picture in view.pictures.items():
        new = _OTHER.get(stream, stream)
        pictures[new] = picture.mirrored(boxes[new], view.sizes[new])
    return replace(
        view,
        pictures=_in_order(pictures, view.pictures),
        boxes=boxes,
        placed=frozenset(_OTHER.get(stream, stream) for stream in view.placed),
        targets=_mirrored_targets(view.targets),
        landmarks=_mirrored_landmarks(view),
        imu=None if view.imu is None else view.imu * torch.tensor(_MIRRORED_IMU),
        orientation=_MIRRORED_ORIENTATION[view.orientation],
        own=False,
    )


def rolled(view: ScreenView, angle: float) -> ScreenView:
    """The picture turned by a small angle in radians, counter-clockwise as displayed, about the frame's centre."""
    turn = _Roll(angle, view)
    boxes = {stream: turn.box(box) if stream in view.placed else box for stream, box in view.boxes.items()}
    return turn.facts(replace(view, boxes=boxes, turn=view.turn + angle))


def quarter_turned(view: ScreenView, quarters: int) -> ScreenView:
    """The picture turned counter-clockwise by 90 degrees `quarters` times; width and height trade places if odd."""
    view = cut(view)
    turn = _Roll(quarters * math.pi / 2, view)
    width, height = view.frame_size
    odd = quarters % 2 == 1
    size = (height, width) if odd else (width, height)
    shift = ((size[0] - width) / 2, (size[1] - height) / 2)  # the centre of the frame is another now
    boxes = {}
    for stream, box in view.boxes.items():
        x, y, w, h = turn.box(box) if stream in view.placed else box
        centre = (x + w / 2, y + h / 2)
        moved = shift if stream in view.placed else (0.0, 0.0)
        w, h = (h, w) if odd else (w, h)
        boxes[stream] = (centre[0] - w / 2 + moved[0], centre[1] - h / 2 + moved[1], w, h)
    pictures = {}
    for stream, picture in view.pictures.items():
        height_px, width_px = view.sizes[stream]
        if odd and height_px != width_px:
            raise ValueError(f"{stream} is {height_px} x {width_px} px; a quarter turn needs square samples")
        pictures[stream] = picture.turned(quarters, boxes[stream], (height_px, width_px))
    turned = turn.facts(replace(view, pictures=pictures, boxes=boxes, frame_size=size, own=False))
    return replace(turned, targets=_swapped_screen(turned.targets)) if odd else turned


class _Roll:
    """What an angle does to everything but pixels."""

    def __init__(self, angle: float, view: ScreenView) -> None:
        self.angle, self.frame = angle, view.frame_size
        # Exactly 0 and 1 for whole quarters, so that four of them are none
        self.cosine, self.sine = round(math.cos(angle), 12), round(math.sin(angle), 12)

    def box(self, box: Box) -> Box:
        """An upright box of the same size around where the middle of this one goes."""
        centre = (self.frame[0] / 2, self.frame[1] / 2)
        x, y = turned_point((box[0] + box[2] / 2, box[1] + box[3] / 2), centre, self.angle)
        return x - box[2] / 2, y - box[3] / 2, box[2], box[3]

    def facts(self, view: ScreenView) -> ScreenView:
        """The view with labels, landmarks and movement turned; its boxes and frame size are turned already."""
        imu = None if view.imu is None else torch.cat([self._turned(v) for v in view.imu.split(3)])
        changed = {name: self._turned(value) for name, value in _vectors(view.targets)}
        return replace(view, imu=imu, targets=replace(view.targets, **changed), landmarks=self._landmarks(view))

    def _turned(self, vector: Tensor) -> Tensor:
        """In the plane, where y is up, against the picture; in the camera's axes, where it is down, with it.

        That is one formula, and nothing happens to what follows x and y.
        """
        x, y = vector[0], vector[1]
        return torch.cat([torch.stack([self.cosine * x + self.sine * y, self.cosine * y - self.sine * x]), vector[2:]])

    def _landmarks(self, view: ScreenView) -> Float[Tensor, "l 2"] | None:
        if view.landmarks is None:
            return None
        before, after = torch.tensor(self.frame), torch.tensor(view.frame_size)
        x, y = ((view.landmarks - 0.5) * before).unbind(-1)
        return torch.stack([self.cosine * x + self.sine * y, self.cosine * y - self.sine * x], -1) / after + 0.5


def _vectors(targets: ScreenTargets) -> list[tuple[str, Tensor]]:
    """What has a direction or a place in the camera's axes."""
    found = [(name, getattr(targets, name)) for name in ("point", "centre", "other_point", "gaze", "origin")]
    return [(name, value) for name, value in found if value is not None]


def _mirrored_targets(targets: ScreenTargets) -> ScreenTargets:
    changed = {name: torch.cat([-value[:1], value[1:]]) for name, value in _vectors(targets)}
    if targets.orientation is not None:
        changed["orientation"] = torch.tensor(_MIRRORED_ORIENTATION[int(targets.orientation)])
    return replace(targets, **changed)


def _mirrored_landmarks(view: ScreenView) -> Float[Tensor, "l 2"] | None:
    if view.landmarks is None:
        return None
    if view.mirror is None:
        raise ValueError("landmarks can be mirrored only with their mirror permutation, which this view lacks")
    x, y = view.landmarks[view.mirror].unbind(-1)
    return torch.stack([1 - x, y], -1)


def _swapped_screen(targets: ScreenTargets) -> ScreenTargets:
    sizes = {name: getattr(targets, name) for name in ("screen_cm", "screen_px")}
    return replace(targets, **{name: size.flip(-1) for name, size in sizes.items() if size is not None})


def _in_order(pictures: Mapping[str, Picture], order: Mapping[str, Picture]) -> dict[str, Picture]:
    return {stream: pictures[stream] for stream in order}
