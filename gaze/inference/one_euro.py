"""The one-euro filter: a low-pass that gives way where the signal moves fast.

Casiez, Roussel and Vogel: 1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in
Interactive Systems, CHI 2012.
"""

from __future__ import annotations

from math import isfinite, pi
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError


class Smoothed(NamedTuple):
    """What the filter knows after a sample."""

    time: float  # seconds
    value: Float[Tensor, "*axes"]  # filtered, in the units of the signal
    speed: Float[Tensor, "*axes"]  # filtered, in those units per second


class OneEuro:
    """Filters a signal at irregular times, each axis for itself: a function from what was known to what is.

    With cut-off f and a step of dt seconds, a low-pass takes 1 / (1 + 1 / (2 pi f dt)) of the new value
    and the rest of the old. The speed, from the last filtered value to the new sample, goes through one
    of `derivative_cutoff`; the signal through one of `min_cutoff` + `beta` |speed|.

    Args:
        min_cutoff: Hz, above 0, where the signal rests; lower is calmer.
        beta: how much faster it may follow, Hz per unit per second, 0 or more; higher lags less.
        derivative_cutoff: Hz, above 0, of the speed.

    Raises:
        UserError: one of them makes no sense.
    """

    def __init__(self, min_cutoff: float = 1.0, beta: float = 5.0, derivative_cutoff: float = 1.0) -> None:
        for name, cutoff in (("min_cutoff", min_cutoff), ("derivative_cutoff", derivative_cutoff)):
            if not (isfinite(cutoff) and cutoff > 0):
                raise UserError(f"smooth.{name}={cutoff}; expected a frequency in Hz above 0, or smooth=null for none")
        if not (isfinite(beta) and beta >= 0):
            raise UserError(f"smooth.beta={beta}; expected 0, for the same smoothing at every speed, or more")
        self.min_cutoff, self.beta, self.derivative_cutoff = min_cutoff, beta, derivative_cutoff

    def __call__(self, before: Smoothed | None, time: float, sample: Float[Tensor, "*axes"]) -> Smoothed:
        """What is known after a sample at `time`, in seconds; `before` is None for the first, which is kept as it is.

        A sample whose time is not later than the last one's says nothing about speed, and is left out.
        """
        if before is None:
            return Smoothed(time, sample, torch.zeros_like(sample))
        step = time - before.time
        if step <= 0:
            return before
        speed = torch.lerp(before.speed, (sample - before.value) / step, _share(self.derivative_cutoff, step))
        cutoff = self.min_cutoff + self.beta * speed.abs()
        return Smoothed(time, before.value + (sample - before.value) * _share(cutoff, step), speed)


def _share(cutoff: float | Tensor, step: float) -> float | Tensor:
    """Of the new value in a low-pass of `cutoff` Hz after `step` seconds; tends to 1 for long steps."""
    turn = 2 * pi * step * cutoff
    return turn / (turn + 1)
