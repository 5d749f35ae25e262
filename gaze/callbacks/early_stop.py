"""Ends a run that no longer gets better."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class EarlyStop(Callback):
    """Stops after `patience` epochs in a row without a new best of the monitored figure."""

    def __init__(self, patience: int = 10) -> None:
        if patience < 1:
            raise ValueError(f"callback.early_stop.patience is {patience}; expected 1 or more epochs")
        self.patience, self.waited = patience, 0

    def fit_start(self, trainer: Trainer) -> None:
        if trainer.mode == "last":
            raise ValueError("callback.early_stop never stops where trainer.mode is last; leave one of them out")
        self.trainer = trainer

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        self.waited = 0 if trainer.improved else self.waited + 1
        if self.waited >= self.patience:
            best = trainer.best[trainer.monitor]
            logger.info("stopping: %s has not improved on %.5g for %d epochs", trainer.monitor, best, self.waited)
            trainer.stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.waited = state["waited"]
        self.trainer.stop = self.waited >= self.patience  # a run that stopped goes on with more patience
