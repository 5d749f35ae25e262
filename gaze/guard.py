"""Stops training on a loss that is not finite, without a device sync per step."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gaze.errors import UserError

logger = logging.getLogger(__name__)

LOOK_EVERY = 20  # steps between two looks at an accelerator; on a CPU a look is free


class NonFiniteError(UserError, FloatingPointError):
    """A loss or gradient became NaN or infinite; the weights are those from before that step."""


class Seen(NamedTuple):
    """What one step left behind: still on the device."""

    step: int
    values: dict[str, Tensor]  # terms of the loss, and the gradient norm
    rows: Sequence[Tensor]  # of the samples in the dataset


class Guard:
    """Watches every step and looks at what it saw from time to time.

    The update of a bad step is skipped on the device by the gradient scaler, so looking late costs
    nothing: the weights stay as they were before it.

    Args:
        policy: "raise", or "skip" to count bad steps and go on.
        max_skipped: with "skip", more bad steps than this end the run.
        device: where the values are.
    """

    def __init__(self, policy: str, max_skipped: int, device: torch.device) -> None:
        if policy not in ("raise", "skip"):
            raise ValueError(f"trainer.on_nonfinite is {policy!r}; expected raise or skip")
        self.policy, self.max_skipped = policy, max_skipped
        self.every = 1 if device.type == "cpu" else LOOK_EVERY
        self.skipped = 0
        self.seen: list[Seen] = []

    def watch(self, step: int, values: Mapping[str, Tensor], rows: Sequence[Tensor]) -> None:
        """Remember a step; look when enough have gathered."""
        self.seen.append(Seen(step, dict(values), rows))
        if len(self.seen) >= self.every:
            self.look()

    def look(self) -> None:
        """Look at all steps since the last look: one sync. Call it before saving anything.

        Raises:
            NonFiniteError: a step was bad and the policy is "raise", or too many were.
        """
        seen, self.seen = self.seen, []
        if not seen:
            return
        fine = torch.stack([torch.isfinite(torch.stack(list(s.values.values()))).all() for s in seen]).tolist()
        for step in (s for s, ok in zip(seen, fine, strict=True) if not ok):
            self._bad(step)

    def _bad(self, seen: Seen) -> None:
        names = [f"{name} = {value.item()}" for name, value in seen.values.items() if not torch.isfinite(value)]
        samples = torch.cat([i.flatten() for i in seen.rows]).tolist()
        what = f"step {seen.step}: {', '.join(names)}; samples {samples}"
        if self.policy == "raise":
            raise NonFiniteError(
                f"{what}. The update was not made. Look at these samples; a lower learning rate, trainer.clip_norm or "
                "full precision (trainer.amp=false) may help; trainer.on_nonfinite=skip leaves such steps out"
            )
        self.skipped += 1
        logger.warning("%s; update skipped (%d of at most %d)", what, self.skipped, self.max_skipped)
        if self.skipped > self.max_skipped:
            raise NonFiniteError(f"{what}. That makes {self.skipped} bad steps, more than trainer.max_skipped")
