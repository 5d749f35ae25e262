"""What a calibration is worth: errors before and after on dots it was not made from."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from gaze.calibration.calibration import calibrate
from gaze.calibration.dots import Dots, Frames, dots_of
from gaze.calibration.methods import method_named
from gaze.calibration.selection import NONE, candidates, choose, left_out


class Comparison(NamedTuple):
    """Mean distance from dot to prediction, cm, over held-out dots; NaN if there are none."""

    before_cm: float
    after_cm: float
    dots: int


def compare(frames: Frames, meant: Bool[Tensor, "n"], method: str | None = None) -> tuple[Dots, Comparison]:
    """The dots to calibrate with, and what calibration does on others.

    Others are those that are not meant for calibration. If all are, each in turn is held out while the method is
    chosen and fitted with the rest: nothing of a dot is ever on both sides.
    """
    dots, _ = dots_of(part(frames, meant))
    if method is not None:
        method_named(method, dots)
    if not bool(meant.all()):
        others, _ = dots_of(part(frames, ~meant))
        after = calibrate(dots, method).apply(others.point, others.features)
        return dots, _compared(others, after)
    if len(dots) < 2:
        return dots, Comparison(float("nan"), float("nan"), 0)
    return dots, _compared(dots, held_out_points(dots, method))


def held_out_points(dots: Dots, method: str | None = None) -> Tensor:
    """Each dot's point, calibrated as if it had never been shown: method and fit come from the other dots."""
    rest = dots.frames * (1 - torch.eye(len(dots), dtype=dots.frames.dtype))
    names = candidates(dots, len(dots) - 1) if method is None else [method]
    which = choose(dots, rest, names) if method is None else torch.zeros(len(dots), dtype=torch.int64)
    points = torch.stack([left_out(name, dots, dots.frames) for name in [*names, NONE]])
    return points[which % len(points), torch.arange(len(dots))]


def part(frames: Frames, rows: Bool[Tensor, "n"]) -> Frames:
    """Some of the frames."""
    features = None if frames.features is None else frames.features[rows]
    return Frames(frames.point[rows], frames.target[rows], frames.dot[rows], features)


def _compared(dots: Dots, after: Tensor) -> Comparison:
    before = (dots.point - dots.target).norm(dim=-1).mean()
    return Comparison(float(before), float((after - dots.target).norm(dim=-1).mean()), len(dots))
