"""Where the heads in a picture are: boxes given by hand, boxes from a file, or none at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.errors import UserError

SMALLEST_PX = 2.0  # a box narrower than this is a mistake of unit, not a head
WAYS = (
    "heads=boxes.json or heads=boxes.csv for boxes from a file, 'heads=[[x0,y0,x1,y1],...]' or "
    "--heads x0,y0,x1,y1 for the same boxes in every picture (fractions if all are at most 1, else pixels), "
    "heads=detect for a face detector, heads=none to ask about whoever is in the picture"
)


class HeadsError(UserError, ValueError):
    """Head boxes that cannot be used: which, why, and what to do."""


@runtime_checkable
class HeadSource(Protocol):
    """Finds the heads in a picture."""

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], frame: int = 0) -> Float[Tensor, "n 4"]:
        """Boxes (x0, y0, x1, y1) as fractions of the picture, within it; `frame` counts those of a video from 0.

        Raises:
            HeadsError: there are no boxes for this picture, or they do not fit it.
        """
        ...


@runtime_checkable
class KnownPersons(Protocol):
    """A source of heads that may know who is who."""

    def persons(self, name: str, frame: int) -> list[int] | None:
        """The person, a number, of each box that the source gives for this frame of a video; None if unknown."""
        ...


class FixedHeads:
    """The same boxes in every picture.

    Args:
        boxes: (x0, y0, x1, y1) each: fractions where none of the numbers is above 1, else pixels.
    """

    def __init__(self, boxes: Sequence[Sequence[float]]) -> None:
        self.boxes = boxes
        self.unit = "fractions" if max(max(box) for box in boxes) <= 1 else "pixels"

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], frame: int = 0) -> Float[Tensor, "n 4"]:
        return to_fractions(self.boxes, self.unit, (picture.shape[-2], picture.shape[-1]), f"heads for {name}")


class NoHeads:
    """Asks once in every picture, without a prompt."""

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], frame: int = 0) -> Float[Tensor, "n 4"]:
        return torch.full((1, 4), torch.nan)


def choose_heads(heads: Any, detector: Callable[[], HeadSource]) -> HeadSource:
    """The source that `heads` asks for: a file's name, numbers, "detect" or "none".

    Args:
        detector: makes the detector; called only if it is asked for.

    Raises:
        UserError: nothing is asked for, or nothing that is understood; the message lists the ways.
    """
    from gaze.inference.head_files import SUFFIXES, FileHeads

    if heads is None:
        raise UserError(f"no head boxes are given; the model needs to know who is asked about. Give {WAYS}")
    if isinstance(heads, str):
        if heads == "none":
            return NoHeads()
        if heads == "detect":
            return detector()
        if Path(heads).suffix.lower() in SUFFIXES:
            return FileHeads(heads)
    return FixedHeads(parse_boxes(heads))


def parse_boxes(value: Any) -> list[list[float]]:
    """Boxes from lists of numbers, or from text such as "0.1,0.2,0.3,0.4; 0.5,0.2,0.7,0.4".

    Raises:
        HeadsError: they are not four numbers each.
    """
    rows: Any = value
    if isinstance(value, str):
        rows = [[number.strip() for number in box.split(",")] for box in value.split(";") if box.strip()]
    if isinstance(rows, Sequence) and rows and not any(isinstance(row, (Sequence, dict)) for row in rows):
        rows = [rows]
    if not isinstance(rows, Sequence) or not rows:
        raise HeadsError(f"heads is {value!r}; expected {WAYS}")
    return [_numbers(row, f"heads={value!r}") for row in rows]


def check_boxes(value: Any, where: str) -> list[list[float]]:
    """A list, maybe empty, of boxes of four numbers each.

    Raises:
        HeadsError: it is anything else.
    """
    if not isinstance(value, list):
        raise HeadsError(f"{where} is {value!r}; expected a list of boxes [x0, y0, x1, y1]")
    return [_numbers(row, where) for row in value]


def to_fractions(
    boxes: Sequence[Sequence[float]], unit: str, size: tuple[int, int], where: str
) -> Float[Tensor, "n 4"]:
    """Boxes as fractions of a picture, clipped to it.

    Args:
        unit: "pixels" or "fractions".
        size: (height, width) of the picture in pixels.
        where: what the boxes are called in messages.

    Raises:
        HeadsError: a box has no area, lies outside the picture, or is smaller than two pixels.
    """
    height, width = size
    scale = (1.0, 1.0, 1.0, 1.0) if unit == "fractions" else (width, height, width, height)
    clipped = []
    for number, box in enumerate(boxes, start=1):
        x0, y0, x1, y1 = (value / side for value, side in zip(box, scale, strict=True))
        what = f"{where}: box {number} is {', '.join(f'{value:g}' for value in box)} ({unit})"
        if x1 <= x0 or y1 <= y0:
            raise HeadsError(f"{what}; expected x0 < x1 and y0 < y1")
        x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in (x0, y0, x1, y1))
        if x1 <= x0 or y1 <= y0:
            raise HeadsError(
                f"{what}, which is outside the picture of {width} x {height} pixels; check the box and its unit"
            )
        if (x1 - x0) * width < SMALLEST_PX or (y1 - y0) * height < SMALLEST_PX:
            raise HeadsError(
                f"{what}, less than {SMALLEST_PX:g} pixels of a picture of {width} x {height}; check its unit"
            )
        clipped.append([x0, y0, x1, y1])
    return torch.tensor(clipped, dtype=torch.float32).reshape(-1, 4)


def _numbers(box: Any, where: str) -> list[float]:
    try:
        numbers = [float(value) for value in box]
    except (TypeError, ValueError):
        numbers = []
    if isinstance(box, str) or len(numbers) != 4 or not all(map(math.isfinite, numbers)):
        raise HeadsError(f"{where} holds {box!r} where a box should be; expected four numbers x0, y0, x1, y1")
    return numbers
