"""Saves the run: `last` to go on from, `best` to use."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from gaze.callbacks.callback import Callback
from gaze.manifests import CheckpointError
from gaze.replicas import AGREE_EVERY
from gaze.sharding import gathered, is_sharded
from gaze.sources import digest

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class Checkpoint(Callback):
    """Writes `last` at every epoch and every so many steps or minutes, and `best` when validation improved.

    A write that fails does not end training, since the next may succeed; if the final one of `last` or of
    `best` failed, the run fails when it ends. `last` remembers that `best` is missing: the run that goes on from the
    same step writes it, and another one fails as well, unless it finds a better one.

    Args:
        every_steps: steps between two writes of `last` within an epoch; None for none.
        every_minutes: minutes between two writes of `last` within an epoch; None for none.
        keep_last: how many of `last` are kept. The older ones are what a damaged one falls back to.
        keep_best: how many of the best are kept.
        leave_out: a module, such as ``backbone``, whose weights stay out of the files for as long as they are
            what the run's config gives: they are read from their source again. None leaves nothing out.

    Raises:
        ValueError: there is no such module to leave out.
    """

    last = True  # or the state of later ones would be saved too early

    def __init__(
        self,
        every_steps: int | None = None,
        every_minutes: float | None = 10.0,
        keep_last: int = 2,
        keep_best: int = 1,
        leave_out: str | None = None,
    ) -> None:
        for name, number in (("keep_last", keep_last), ("keep_best", keep_best), ("every_steps", every_steps)):
            if number is not None and number < 1:
                raise ValueError(f"callback.checkpoint.{name} is {number}; expected 1 or more")
        self.every_steps, self.every_minutes = every_steps, every_minutes
        self.keep_last, self.keep_best, self.leave_out = keep_last, keep_best, leave_out
        self.source: str | None = None  # the digest of what is left out, as its source gives it
        self.saved_at = time.monotonic()
        self.saved: tuple[int, int] | None = None  # step and epoch of the last write that succeeded
        self.failures: dict[str, CheckpointError] = {}  # by kind, until one of that kind succeeds
        self.missing: dict[str, Any] | None = None  # the facts of a best that could not be written, and why
        self.owed = False  # was it missing when this run went on?

    def fit_start(self, trainer: Trainer) -> None:
        trainer.run.last.keep, trainer.run.best.keep = self.keep_last, self.keep_best
        if self.leave_out is not None:
            self.source = self._rebuilt(trainer, self.leave_out)

    def epoch_start(self, trainer: Trainer) -> None:
        self._make_up(trainer)  # before a step changes the weights

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        due = self.every_steps is not None and trainer.progress.step % self.every_steps == 0
        if due or self._time_is_up(trainer):
            self._save_last(trainer)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        self._look(trainer)
        if trainer.improved and trainer.hardware.runs_along:
            facts = {"step": trainer.progress.step, "metrics": dict(metrics)}
            self._write_best(trainer, facts)
        self._write_last(trainer)

    def fit_end(self, trainer: Trainer) -> None:
        self._make_up(trainer)
        if self.saved != (trainer.progress.step, trainer.epoch):
            self._save_last(trainer)
        trainer.hardware.barrier()  # nobody leaves while the first replica writes
        for failure in self.failures.values():
            raise failure

    def state_dict(self) -> dict[str, Any]:
        """The best that is missing, if it is."""
        return {} if self.missing is None else {"missing": self.missing}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.missing = state.get("missing")
        self.owed = self.missing is not None

    def _make_up(self, trainer: Trainer) -> None:
        """Write the best that was missing when this run went on, if its weights are what was loaded."""
        if not self.owed or self.missing is None or not trainer.hardware.runs_along:
            return
        self.owed, missing = False, self.missing
        if missing["step"] == trainer.progress.step:
            self._look(trainer)
            self._write_best(trainer, {"step": missing["step"], "metrics": missing["metrics"]})
            self.saved = None  # so that `last` no longer says that it is missing
        elif trainer.hardware.main:
            self.failures["best"] = CheckpointError(
                f"the best weights, of step {missing['step']}, are missing: {missing['error']}. {trainer.run.best.directory} "
                "holds older ones, if any; train again in a new directory, or longer: a better step is written"
            )

    def _write_best(self, trainer: Trainer, facts: Mapping[str, Any]) -> None:
        written = self._try("best", lambda: self._save_best(trainer, facts))
        self.missing = None if written else {**facts, "error": str(self.failures["best"])}

    def _save_last(self, trainer: Trainer) -> None:
        self._look(trainer)
        self._write_last(trainer)

    def _look(self, trainer: Trainer) -> None:
        """Never save what a bad step led to without saying so."""
        trainer.guard.look()
        trainer.guard.check(*trainer.models)

    def _write_last(self, trainer: Trainer) -> None:
        self.saved_at = time.monotonic()
        now = (trainer.progress.step, trainer.epoch)
        if not trainer.hardware.runs_along:
            return
        if trainer.hardware.main:
            trainer.run.journal.flush()
        if self._try("last", lambda: self._save(trainer)):
            self.saved = now

    def _save(self, trainer: Trainer) -> None:
        model, step = trainer.model, trainer.progress.step
        trainer.run.last.save(step, model, trainer.state_dict(), self._omitted(trainer, model))

    def _save_best(self, trainer: Trainer, facts: Mapping[str, Any]) -> None:
        """In one file, by the first replica, whatever it was trained on: anybody can load it."""
        model, main = trainer.eval_model, trainer.hardware.main
        omit = self._omitted(trainer, model)
        weights = gathered(model, keep=main) if is_sharded(model) else model
        if main:
            trainer.run.best.save(trainer.progress.step, weights, facts, omit)

    def _omitted(self, trainer: Trainer, model: nn.Module) -> dict[str, str]:
        part = self.leave_out
        if part is None or any(p.requires_grad for p in trainer.model.get_submodule(part).parameters()):
            return {}
        now = digest(model.state_dict(), part)
        return {part: now} if now == self.source else {}

    def _time_is_up(self, trainer: Trainer) -> bool:
        if self.every_minutes is None:
            return False
        late = (time.monotonic() - self.saved_at) / 60 >= self.every_minutes
        if trainer.hardware.replicas == 1:
            return late
        # All look at what they saw, or write; their clocks agree as seldom as they do on signals.
        return trainer.progress.step % AGREE_EVERY == 0 and bool(trainer.hardware.agree(int(late)))

    def _rebuilt(self, trainer: Trainer, part: str) -> str:
        """The digest of `part` as the run's config gives it."""
        from gaze.runs import build_model, load_config  # imports Hydra, which the entry has and a test need not

        try:
            trainer.model.get_submodule(part)
        except AttributeError as error:
            names = ", ".join(name for name, _ in trainer.model.named_children())
            raise ValueError(f"callback.checkpoint.leave_out is {part!r}; expected a module of {names}") from error
        source = digest(build_model(load_config(trainer.run.path), with_weights=True).state_dict(), part)
        if source != digest(trainer.model.state_dict(), part):
            logger.warning("%s is not what its source gives, so checkpoints hold it", part)
        return source

    def _try(self, kind: str, save: Callable[[], object]) -> bool:
        try:
            save()
        except CheckpointError as error:
            logger.error("%s; training goes on", error)
            self.failures[kind] = error
            return False
        self.failures.pop(kind, None)
        return True
