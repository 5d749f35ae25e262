"""What data sets of annotated video clips share: which frames are taken, how large they are, where a gaze ends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from gaze.datasets.image import ImageError, image_size
from gaze.datasets.paths import PathError, inside

OVERSHOOT = 0.1  # of the frame's side: how far beyond the right or bottom border a click still means the border


def check_every(name: str, value: int) -> None:
    """Refuse a step between frames that is not one."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}; expected a whole number of frames, 1 (every frame) or more")


def sampled(frames: Iterable[str], every: int) -> list[str]:
    """Every `every`-th of a clip's frames in the order of their names, counted from the first.

    Args:
        frames: of all its people, in any order and with repeats.
    """
    return sorted(set(frames))[::every]


def clip_size(root: str, paths: Sequence[str], max_pixels: int, upright: bool) -> tuple[int, int] | str:
    """(height, width) in pixels of the first frame that can be read, or why the first one can't, if none can."""
    reason = "it has no frame"
    for number, path in enumerate(paths):
        try:
            return image_size(inside(root, path), max_pixels, upright)
        except (ImageError, PathError) as error:
            reason = reason if number else str(error)
    return reason


def end_of_gaze(gaze: Float[ndarray, "r 2"]) -> tuple[Float[ndarray, "r 2"], Float[ndarray, "r"]]:
    """The points that were looked at, in pixels, and whether they are in the frame (1) or not (0).

    Annotators clicked beside the picture, too. If exactly one of x and y is negative it becomes 0, as in
    GazeLLE's preprocessing; if both are, the target is out of the frame. What lies beyond the right or bottom
    border stays there.

    Args:
        gaze: x, y in pixels; (-1, -1) is out of the frame.
    """
    negative = gaze < 0
    gaze = np.where(negative & (negative.sum(axis=1, keepdims=True) == 1), 0.0, gaze)
    return gaze, np.asarray((gaze >= 0).all(axis=1)).astype(np.float64)


def onto_border(gaze: Float[ndarray, "r 2"]) -> Float[ndarray, "r 2"]:
    """Fractions of the frame; those up to a tenth beyond the right or bottom border are moved to that border."""
    return np.where(gaze <= 1 + OVERSHOOT, np.minimum(gaze, 1.0), gaze)


def number(name: str, text: str) -> float:
    """A cell of a text file as a number.

    Raises:
        ValueError: it is not a finite one.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:  # Python reads 1_0 as 10
        raise ValueError(f"{name} is {text.strip()!r}")
    return value
