"""Saves the run: `last` to go on from, `best` to use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from gaze.callbacks.callback import Callback
from gaze.checkpoints import CheckpointError

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class Checkpoint(Callback):
    """Writes `last` at every epoch and every so many steps or minutes, and `best` when validation improved.

    A write that fails does not end training, since the next may succeed; if the final one of `last` or of
    `best` failed, the run fails when it ends.

    Args:
        every_steps: steps between two writes of `last` within an epoch; None for none.
        every_minutes: minutes between two writes of `last` within an epoch; None for none.
        keep_last: how many of `last` are kept. The older ones are what a damaged one falls back to.
        keep_best: how many of the best are kept.

    Raises:
        ValueError: it is not the last callback; the state of later ones would be saved too early.
    """

    def __init__(
        self,
        every_steps: int | None = None,
        every_minutes: float | None = 10.0,
        keep_last: int = 2,
        keep_best: int = 1,
    ) -> None:
        for name, number in (("keep_last", keep_last), ("keep_best", keep_best), ("every_steps", every_steps)):
            if number is not None and number < 1:
                raise ValueError(f"callback.checkpoint.{name} is {number}; expected 1 or more")
        self.every_steps, self.every_minutes = every_steps, every_minutes
        self.keep_last, self.keep_best = keep_last, keep_best
        self.saved_at = time.monotonic()
        self.saved: tuple[int, int] | None = None  # step and epoch of the last write that succeeded
        self.failures: dict[str, CheckpointError] = {}  # by kind, until one of that kind succeeds

    def fit_start(self, trainer: Trainer) -> None:
        names = list(trainer.callbacks)
        if trainer.callbacks[names[-1]] is not self:
            raise ValueError(f"the checkpoint callback must be the last of callback=[{','.join(names)}]")
        trainer.run.last.keep, trainer.run.best.keep = self.keep_last, self.keep_best

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        minutes = (time.monotonic() - self.saved_at) / 60
        due = self.every_steps is not None and trainer.progress.step % self.every_steps == 0
        if due or (self.every_minutes is not None and minutes >= self.every_minutes):
            self._save_last(trainer)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        if trainer.improved and trainer.hardware.main:
            facts = {"step": trainer.progress.step, "metrics": dict(metrics)}
            self._try("best", lambda: trainer.run.best.save(trainer.progress.step, trainer.eval_model, facts))
        self._save_last(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        if self.saved != (trainer.progress.step, trainer.epoch):
            self._save_last(trainer)
        trainer.hardware.barrier()  # nobody leaves while the first replica writes
        for failure in self.failures.values():
            raise failure

    def _save_last(self, trainer: Trainer) -> None:
        trainer.guard.look()  # never save what a bad step led to without saying so
        self.saved_at = time.monotonic()
        now = (trainer.progress.step, trainer.epoch)
        if trainer.hardware.main and self._try(
            "last", lambda: trainer.run.last.save(now[0], trainer.model, trainer.state_dict())
        ):
            self.saved = now

    def _try(self, kind: str, save: Callable[[], object]) -> bool:
        try:
            save()
        except CheckpointError as error:
            logger.error("%s; training goes on", error)
            self.failures[kind] = error
            return False
        self.failures.pop(kind, None)
        return True
