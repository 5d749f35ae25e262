"""Tells the study of a search how a trial is doing, and ends the trial if the study's pruner says so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gaze.callbacks.callback import Callback
from gaze.loggers.masking import masked
from gaze.sweeps.studies import PRUNED

if TYPE_CHECKING:
    import optuna

    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class Reporting(Callback):
    """Reports the monitored figure of each epoch once; a trial that is pruned ends normally, with its checkpoint.

    A database that is away for a while costs a warning: the trial then goes on unpruned.

    Args:
        connect: gives the trial in its study; called on the first replica only.
    """

    def __init__(self, connect: Callable[[], optuna.Trial]) -> None:
        self.connect = connect
        self.trial: optuna.Trial | None = None
        self.known: set[int] = set()  # epochs that the study has a figure of
        self.pruned = False

    def fit_start(self, trainer: Trainer) -> None:
        if trainer.hardware.main:
            self._try(self._open)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        asked = trainer.hardware.main and self._try(lambda: self._report(trainer.epoch, metrics[trainer.monitor]))
        self.pruned = bool(trainer.hardware.agree(int(asked)))
        if self.pruned and trainer.epoch < trainer.epochs:
            logger.info("pruned after epoch %d: %s is %.5g", trainer.epoch, trainer.monitor, metrics[trainer.monitor])
            trainer.stop = True
        else:
            self.pruned = False  # a trial that has come to its end is complete

    def fit_end(self, trainer: Trainer) -> None:
        if self.pruned and trainer.hardware.main:
            self._try(lambda: self._mark(trainer.epoch))
            trainer.run.journal.write(trainer.progress.step, {"val/pruned": float(trainer.epoch)})

    def state_dict(self) -> dict[str, Any]:
        return {"pruned": self.pruned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.pruned = state["pruned"]

    def _open(self) -> bool:
        self.trial = self.connect()
        self.known = set(self.trial.storage.get_trial(self.trial._trial_id).intermediate_values)
        return True

    def _report(self, epoch: int, figure: float) -> bool:
        if self.trial is None:
            self._open()
        assert self.trial is not None
        if epoch not in self.known:  # a resumed run may come to the same epoch again
            self.trial.report(figure, epoch)
            self.known.add(epoch)
        return bool(self.trial.should_prune())

    def _mark(self, epoch: int) -> bool:
        if self.trial is None:
            self._open()
        assert self.trial is not None
        self.trial.set_user_attr(PRUNED, epoch)
        return True

    def _try(self, act: Callable[[], bool]) -> bool:
        try:
            return act()
        except Exception as error:  # SQLAlchemy's or a driver's
            reason = str(error).strip().splitlines() or [type(error).__name__]
            logger.warning("the search's study cannot be reached: %s; training goes on", masked(reason[0]))
            return False
