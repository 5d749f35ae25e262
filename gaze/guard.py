"""Stops training on a loss that is not finite, without a device sync per step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gaze.checkpoints import Checkpoints
from gaze.errors import UserError
from gaze.finite import listed, not_finite

logger = logging.getLogger(__name__)

LOOK_EVERY = 20  # steps between two looks at an accelerator; on a CPU a look is free
MOST_OVERFLOWS = 40  # float16 halves its scale at each: after so many in a row nothing is left to halve


class NonFiniteError(UserError, FloatingPointError):
    """A loss or gradient became NaN or infinite; the weights are those from before that step."""


class Seen(NamedTuple):
    """What one step left behind: still on the device."""

    step: int
    values: dict[str, Tensor]  # the loss and its terms
    norm: Tensor  # of the gradients
    rows: Sequence[Tensor]  # of the samples in the dataset


class Guard:
    """Watches every step and looks at what it saw from time to time.

    The update of a bad step is left out on the device by the gradient scaler, so looking late costs
    nothing. Buffers, such as the statistics of a batch norm, were changed by the forward pass: those that
    are no longer finite get back the values that they had at the last look.

    Args:
        model: what is trained.
        policy: "raise", or "skip" to count bad steps and go on.
        max_skipped: with "skip", more bad steps than this end the run.
        overflow: bad gradients of a finite loss are the daily business of this number format (float16).
        device: where the values are.
        saved: checkpoints to go back to, which are named when training ends.
        least: the smallest of all replicas' values, number by number; None: there is one. They look at the same steps at the
            same time, and judge them together: a loss is each one's own, and what a bad one leads to is not.
    """

    def __init__(
        self,
        model: nn.Module,
        policy: str,
        max_skipped: int,
        overflow: bool,
        device: torch.device,
        saved: Checkpoints | None = None,
        least: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if policy not in ("raise", "skip"):
            raise ValueError(f"trainer.on_nonfinite is {policy!r}; expected raise or skip")
        self.model, self.saved, self.least = model, saved, least
        self.policy, self.max_skipped, self.overflow = policy, max_skipped, overflow
        self.buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        self.kept = [buffer.clone() for buffer in self.buffers]
        self.overflows = 0
        self.every = 1 if device.type == "cpu" else LOOK_EVERY
        self.skipped = 0
        self.seen: list[Seen] = []

    def watch(self, step: int, values: Mapping[str, Tensor], norm: Tensor, rows: Sequence[Tensor]) -> None:
        """Remember a step; look when enough have gathered."""
        self.seen.append(Seen(step, dict(values), norm, rows))
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
        own = _fine(seen)
        table = own if self.least is None else self.least(torch.tensor(own).int()).bool().tolist()
        if all(loss and norm for loss, norm in table):
            self.overflows = 0
            self.keep()
            return
        self._mend()
        for step, (loss, norm), (here, _) in zip(seen, table, own, strict=True):
            overflowed = self.overflow and loss and not norm
            self.overflows = self.overflows + 1 if overflowed else 0
            if self.overflows > MOST_OVERFLOWS:
                raise NonFiniteError(
                    f"step {step.step}: the gradients overflowed float16 {self.overflows} times in a row; "
                    f"use hardware.amp_dtype=bfloat16, or a lower learning rate. {self._good()}"
                )
            if not overflowed and not (loss and norm):
                self._bad(step, elsewhere=here and not loss)

    def keep(self) -> None:
        """Remember the buffers as they are now. Call it after loading any."""
        if self.buffers:
            torch._foreach_copy_(self.kept, self.buffers)

    def check(self, *models: nn.Module) -> None:
        """Check that models hold numbers only. Call it before saving any, and after loading.

        Raises:
            NonFiniteError: some of their weights are NaN or infinite; they are named.
        """
        for model in models:
            if broken := not_finite(model):
                kind = "the model" if model is self.model else "the average of the model"
                raise NonFiniteError(
                    f"{kind} holds weights that are NaN or infinite: {listed(broken)}; look at where they come from, or "
                    f"use a lower learning rate. {self._good()}"
                )

    def _mend(self) -> None:
        for buffer, kept in zip(self.buffers, self.kept, strict=True):
            buffer.copy_(torch.where(torch.isfinite(buffer).all(), buffer, kept))

    def _bad(self, seen: Seen, elsewhere: bool) -> None:
        """Say what was bad, and end training if it has to; `elsewhere`: this replica's own loss is fine."""
        values = {**seen.values, "grad_norm": seen.norm}
        names = [f"{name} = {value.item()}" for name, value in values.items() if not torch.isfinite(value)]
        samples = torch.cat([i.flatten() for i in seen.rows]).tolist()
        what = f"step {seen.step}: {', '.join(names)}; samples {samples}"
        if elsewhere:
            what = f"step {seen.step}: the loss of another replica is not finite, which names its samples"
        broken = not_finite(self.model)
        if broken:  # leaving out steps would not help
            raise NonFiniteError(f"{what}. The model itself holds NaN or infinity: {listed(broken)}. {self._good()}")
        if self.policy == "raise":
            raise NonFiniteError(
                f"{what}. The update was not made. Look at these samples; a lower learning rate, trainer.clip_norm or "
                "full precision (trainer.amp=false) may help; trainer.on_nonfinite=skip leaves such steps out. "
                f"{self._good()}"
            )
        self.skipped += 1
        logger.warning("%s; update skipped (%d of at most %d)", what, self.skipped, self.max_skipped)
        if self.skipped > self.max_skipped:
            raise NonFiniteError(
                f"{what}. That makes {self.skipped} bad steps, more than trainer.max_skipped. {self._good()}"
            )

    def _good(self) -> str:
        steps = self.saved.steps() if self.saved is not None else []
        if self.saved is None or not steps:
            return "No checkpoint was saved yet"
        return f"The last good checkpoint is {self.saved.path(steps[-1])}"


def _fine(seen: Sequence[Seen]) -> list[list[bool]]:
    """Is the loss finite with all of its terms, and is the norm? A row for each step."""
    if seen[0].norm.device.type == "cpu":  # reading them is free, and operations are not
        return [[all(isfinite(v.item()) for v in s.values.values()), isfinite(s.norm.item())] for s in seen]
    fine = [[torch.isfinite(torch.stack(list(s.values.values()))).all(), torch.isfinite(s.norm)] for s in seen]
    found: list[list[bool]] = torch.stack([torch.stack(row) for row in fine]).tolist()
    return found
