"""Numbers that change while training: pure functions of `Progress`, without state.

The same classes serve learning rates and weight decay (as a multiplier of the base value), loss
weights and temperatures (as the value itself).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gaze.types import Progress


@runtime_checkable
class Schedule(Protocol):
    """A number as a function of progress."""

    def __call__(self, progress: Progress) -> float: ...


def value_at(number: float | Schedule, progress: Progress) -> float:
    """The number itself, or what its schedule says now."""
    return number(progress) if callable(number) else number


class Warmup:
    """Linear from near zero to 1 over the first epochs or steps; multiplies the schedules that inherit it."""

    def __init__(self, warmup_epochs: float = 0.0, warmup_steps: int = 0) -> None:
        if warmup_epochs < 0 or warmup_steps < 0 or (warmup_epochs and warmup_steps):
            raise ValueError(
                f"warmup_epochs is {warmup_epochs} and warmup_steps {warmup_steps}; expected 0 or more of one"
            )
        self.warmup_epochs, self.warmup_steps = warmup_epochs, warmup_steps

    def warmup(self, progress: Progress) -> float:
        """Steps of the warm-up."""
        return self.warmup_steps or self.warmup_epochs * progress.steps_per_epoch

    def factor(self, progress: Progress) -> float:
        """(step + 1) / warm-up steps, at most 1: the first step is small but not nothing."""
        steps = self.warmup(progress)
        return min(1.0, (progress.step + 1) / steps) if steps > 0 else 1.0

    def since(self, progress: Progress) -> float:
        """Fraction of the time after the warm-up that has passed, 0 to 1; the last step is exactly 1.

        It stays 0 in a run that ends before its warm-up does.
        """
        start = self.warmup(progress)
        if progress.step < start:
            return 0.0
        span = progress.steps - 1 - start
        return min(1.0, (progress.step - start) / span) if span > 0 else 1.0


class Constant(Warmup):
    """Always the same number, after the warm-up."""

    def __init__(self, value: float = 1.0, warmup_epochs: float = 0.0) -> None:
        super().__init__(warmup_epochs)
        self.value = value

    def __call__(self, progress: Progress) -> float:
        return self.factor(progress) * self.value


class Cosine(Warmup):
    """Half a cosine from `start` to `end` over the steps after the warm-up (Loshchilov & Hutter 2017).

    With start 1 and end 4 it is the temperature of GazeLLE's distillation: it ends on the last step.
    """

    def __init__(self, start: float = 1.0, end: float = 0.0, warmup_epochs: float = 0.0, warmup_steps: int = 0) -> None:
        super().__init__(warmup_epochs, warmup_steps)
        self.start, self.end = start, end

    def __call__(self, progress: Progress) -> float:
        wave = 0.5 * (1.0 - math.cos(math.pi * self.since(progress)))
        return self.factor(progress) * (self.start + (self.end - self.start) * wave)


class Linear(Warmup):
    """A straight line from `start` to `end` over the steps after the warm-up."""

    def __init__(self, start: float = 1.0, end: float = 0.0, warmup_epochs: float = 0.0, warmup_steps: int = 0) -> None:
        super().__init__(warmup_epochs, warmup_steps)
        self.start, self.end = start, end

    def __call__(self, progress: Progress) -> float:
        return self.factor(progress) * (self.start + (self.end - self.start) * self.since(progress))


class Step(Warmup):
    """Constant pieces: `values[k]` from epoch `epochs[k - 1]` on, `values[0]` before the first of them."""

    def __init__(self, epochs: Sequence[float], values: Sequence[float], warmup_epochs: float = 0.0) -> None:
        super().__init__(warmup_epochs)
        if len(values) != len(epochs) + 1 or list(epochs) != sorted(epochs):
            raise ValueError(
                f"Step has epochs {list(epochs)} and values {list(values)}; expected rising epochs and one value more than epochs"
            )
        self.epochs, self.values = list(epochs), list(values)

    def __call__(self, progress: Progress) -> float:
        now = progress.step / progress.steps_per_epoch
        return self.factor(progress) * self.values[sum(now >= epoch for epoch in self.epochs)]


class Exponential(Warmup):
    """`start` times `rate` to the power of the epochs since the warm-up, smooth within an epoch."""

    def __init__(self, rate: float, start: float = 1.0, warmup_epochs: float = 0.0) -> None:
        super().__init__(warmup_epochs)
        if not rate > 0:
            raise ValueError(f"rate is {rate}; expected a number above 0, such as 0.9 per epoch")
        self.rate, self.start = rate, start

    def __call__(self, progress: Progress) -> float:
        epochs = max(0.0, progress.step / progress.steps_per_epoch - self.warmup_epochs)
        return self.factor(progress) * self.start * self.rate**epochs
