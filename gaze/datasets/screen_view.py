"""One frame of a user on its way from the file to a sample: pictures, what to cut from them, labels that are true of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from gaze.datasets.crops import crop_box
from gaze.datasets.image import resize
from gaze.datasets.screen_crops import Affine, Paste, mirrored, turned
from gaze.types import ScreenTargets

STREAMS = ("face", "left_eye", "right_eye")
EYES = ("left_eye", "right_eye")

Box = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True)
class Picture:
    """Pixels, and the part of the frame that they show."""

    image: UInt8[Tensor, "3 H W"]
    covers: Box  # px of the frame; of the picture itself where nobody knows where that was cut
    at: Affine | None = None  # of a crop that is still to be sampled: where it is in the picture
    paste: Paste | None = None  # into such a crop

    def mirrored(self, covers: Box, size: tuple[int, int]) -> Picture:
        """A sample of (height, width) px in a mirror."""
        if self.at is None:
            return Picture(self.image.flip(-1), covers)
        paste = None if self.paste is None else self.paste.mirrored(size)
        return Picture(self.image, covers, mirrored(self.at), paste)

    def turned(self, quarters: int, covers: Box, size: tuple[int, int]) -> Picture:
        """A sample of (height, width) px turned counter-clockwise by 90 degrees `quarters` times."""
        if self.at is None:
            return Picture(self.image.rot90(quarters, (-2, -1)), covers)
        paste = None if self.paste is None else self.paste.turned(quarters, size)
        return Picture(self.image, covers, turned(self.at, quarters), paste)


@dataclass(frozen=True)
class ScreenView:
    """A frame of which pictures are known: the whole of it, or only crops.

    Nothing is cut before `cut` is called, so that whatever moves a box or rolls the camera costs no pixels. A
    box whose place in the frame is unknown is in pixels of its own picture, and is not in `placed`.
    """

    pictures: Mapping[str, Picture]  # by stream
    boxes: Mapping[str, Box]  # what a sample is to show, by stream, in px of the frame after `turn`
    placed: frozenset[str]  # streams whose box is known in the frame
    frame_size: tuple[float, float]  # width, height px; NaN unknown
    sizes: Mapping[str, tuple[int, int]]  # (height, width) of the samples by stream
    targets: ScreenTargets
    turn: float = 0.0  # radians counter-clockwise as displayed, about the frame's centre, still to be done
    landmarks: Float[Tensor, "l 2"] | None = None  # fractions of the frame; NaN where missing
    mirror: Int[Tensor, "l"] | None = None  # for each landmark, which of them is its mirror image
    imu: Float[Tensor, "9"] | None = None
    imu_valid: float = 0.0
    orientation: int = 1
    # (height, width) that pictures are given by stream, of which crops are sampled later; None: crops are cut here
    sources: Mapping[str, tuple[int, int]] | None = None
    draws: tuple[float, ...] = ()  # of changes of pixels that are left for later
    own: bool = True  # False: no longer what the person's own eyes look like, but mirrored, turned or blended


@runtime_checkable
class Augmentation(Protocol):
    """Another view of the same frame, with labels that are true of it."""

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView: ...


def cut(view: ScreenView) -> ScreenView:
    """The view with a picture of the sample's size for each stream, that shows exactly its box; or with where that is."""
    pictures = {}
    for stream, picture in view.pictures.items():
        box, size = view.boxes[stream], view.sizes[stream]
        if view.sources is not None:
            pictures[stream] = _left(view, stream, view.sources[stream])
        elif view.turn == 0.0 and box == picture.covers:
            pictures[stream] = Picture(resize(picture.image, size), box)
        else:
            pictures[stream] = Picture(_cut(view, stream), box)
    return replace(view, pictures=pictures, turn=0.0)


def geometry(view: ScreenView) -> Float[Tensor, "12"]:
    """(x, y, w, h) of face, left and right eye as fractions of the frame; NaN where unknown."""
    width, height = view.frame_size
    rows = []
    for stream in STREAMS:
        x, y, w, h = view.boxes[stream] if stream in view.placed else (math.nan,) * 4
        rows += [x / width, y / height, w / width, h / height]
    return torch.tensor(rows)


def turned_point(point: tuple[float, float], about: tuple[float, float], angle: float) -> tuple[float, float]:
    """A point (x, y down) after a turn of the picture by an angle, counter-clockwise as displayed."""
    x, y = point[0] - about[0], point[1] - about[1]
    cosine, sine = math.cos(angle), math.sin(angle)
    return about[0] + cosine * x + sine * y, about[1] + cosine * y - sine * x


def frame_centre(view: ScreenView, stream: str) -> tuple[float, float]:
    """What a camera's roll turns a stream about: the frame's centre, or the picture's own where it has no place."""
    if stream in view.placed:
        return view.frame_size[0] / 2, view.frame_size[1] / 2
    return box_centre(view.pictures[stream].covers)


def box_centre(box: Box) -> tuple[float, float]:
    """The middle (x, y) of a box."""
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def _cut(view: ScreenView, stream: str) -> UInt8[Tensor, "3 h w"]:
    """The stream's box out of its picture, in the picture's own pixels and turned about the picture's own centre.

    A stored crop of a box that is no square was stretched to one, so its pixels are none, and it must not be sheared.
    """
    picture, (_, _, width, height) = view.pictures[stream], view.boxes[stream]
    shown_h, shown_w = picture.image.shape[-2:]
    left, top, across, down = picture.covers
    scale_x, scale_y = shown_w / across, shown_h / down
    # Turning about another centre is turning about this one and a shift: where the box's middle was before says which.
    before = turned_point(box_centre(view.boxes[stream]), frame_centre(view, stream), -view.turn)
    x, y = turned_point(before, box_centre(picture.covers), view.turn)
    width, height = width * scale_x, height * scale_y
    box = ((x - left) * scale_x - width / 2, (y - top) * scale_y - height / 2, width, height)
    box = _whole(box[0]), _whole(box[1]), _whole(width), _whole(height)
    return crop_box(picture.image, box, view.sizes[stream], angle_rad=view.turn, stretch=scale_x / scale_y)


def _left(view: ScreenView, stream: str, source: tuple[int, int]) -> Picture:
    """The stream's picture, and where in it the box is; what has been cut before stays.

    In px of the frame both the box and the turn are what they are, whatever a stored picture was stretched to.
    """
    picture, (x, y, w, h) = view.pictures[stream], view.boxes[stream]
    if picture.at is not None:
        return picture
    left, top, across, down = picture.covers
    centre = frame_centre(view, stream)
    corners = [turned_point(p, centre, -view.turn) for p in ((x, y), (x + w, y), (x, y + h))] if view.turn else None
    (x0, y0), (x1, y1), (x2, y2) = corners or ((x, y), (x + w, y), (x, y + h))
    at = (
        *((x1 - x0) / across, (x2 - x0) / across, (x0 - left) / across),
        *((y1 - y0) / down, (y2 - y0) / down, (y0 - top) / down),
    )
    return Picture(resize(picture.image, source), view.boxes[stream], at)


def _whole(px: float) -> float:
    """A whole number of pixels where only rounding errors are left of it: then they are copied, not interpolated."""
    return float(round(px)) if abs(px - round(px)) < 1e-6 else px
