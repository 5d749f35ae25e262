"""What a calibration is worth: points before and after of dots it was not made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.calibration.calibration import Calibration, calibrate
from gaze.calibration.dots import Dots, Frames, dots_of
from gaze.calibration.methods import Method
from gaze.calibration.selection import candidates, choose


class Outcome(NamedTuple):
    """A person's calibration, and what it does on dots that it was not made from."""

    calibration: Calibration
    held_out: Bool[Tensor, "n"]  # frames of such dots
    point: Float[Tensor, "m 2"]  # of these frames, calibrated, cm
    before_cm: float  # mean distance from such dots to their predictions; NaN if there are none
    after_cm: float
    dots: int


def outcome(
    frames: Frames,
    meant: Bool[Tensor, "n"],
    methods: Mapping[str, Method],
    method: str | None = None,
    about: Mapping[str, str] | None = None,
) -> Outcome:
    """Calibrate with the dots that are meant for it, and see what that does on others.

    If all are meant for it, each in turn is held out while the method is chosen and fitted with the rest: nothing of
    a dot is ever on both sides.
    """
    dots, which = dots_of(frames.at(meant))
    made = calibrate(dots, methods, method, about)
    if not bool(meant.all()):
        point = frames.at(~meant).point if made.correction is None else made.correction.of(frames.at(~meant))
        return _outcome(made, frames, ~meant, point)
    if len(dots) < 2 or (method is not None and methods[method].needs >= len(dots)):
        return _outcome(made, frames, ~meant, frames.point[:0])
    return _outcome(made, frames, meant, held_out_points(dots, frames, which, methods, method))


def held_out_points(
    dots: Dots, frames: Frames, which: Tensor, methods: Mapping[str, Method], method: str | None = None
) -> Float[Tensor, "n 2"]:
    """The point of each frame, calibrated as if its dot had never been shown: method and fit come from the others."""
    point = frames.point.double().clone()
    for dot in range(len(dots)):
        rest = dots.at(torch.tensor([other for other in range(len(dots)) if other != dot]))
        names = candidates(methods, rest, len(rest)) if method is None else [method]
        fits = [methods[name] for name in names]
        chosen = [*fits, None][int(choose(fits, rest, rest.frames)) if method is None else 0]
        if chosen is not None:
            rows = which == dot
            point[rows] = chosen.fit(rest, rest.frames).of(frames.at(rows))
    return point


def _outcome(made: Calibration, frames: Frames, held_out: Bool[Tensor, "n"], point: Float[Tensor, "m 2"]) -> Outcome:
    if not bool(held_out.any()):
        return Outcome(made, held_out, point, float("nan"), float("nan"), 0)
    others = frames.at(held_out)
    before, _ = dots_of(others)
    after, _ = dots_of(Frames(point, others.target, others.dot))
    errors = [float((dots.point - dots.target).norm(dim=-1).mean()) for dots in (before, after)]
    return Outcome(made, held_out, point, errors[0], errors[1], len(before))
