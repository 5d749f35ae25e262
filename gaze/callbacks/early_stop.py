"""Ends a run that no longer gets better."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class EarlyStop(Callback):
    """Stops after `patience` epochs in a row in which the monitored figure did not get better by at least `min_delta`.

    Slow progress adds up: an epoch is compared with the last one that was enough better, not with the one before.

    Args:
        patience: epochs.
        min_delta: in the unit of the figure; 0: anything better is enough.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0) -> None:
        if patience < 1:
            raise ValueError(f"callback.early_stop.patience is {patience}; expected 1 or more epochs")
        if not min_delta >= 0:
            raise ValueError(f"callback.early_stop.min_delta is {min_delta}; expected a number from 0 on")
        self.patience, self.min_delta, self.waited = patience, min_delta, 0
        self.mark = math.nan  # the figure of the last epoch that was enough better

    def fit_start(self, trainer: Trainer) -> None:
        if trainer.mode == "last":
            raise ValueError("callback.early_stop never stops where trainer.mode is last; leave one of them out")
        self.trainer = trainer

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        if trainer.improved and self._enough(metrics[trainer.monitor]):
            self.waited, self.mark = 0, metrics[trainer.monitor]
        else:
            self.waited += 1
        if self.waited >= self.patience:
            less = f" by {self.min_delta:g} or more" if self.min_delta else ""
            logger.info(
                "stopping: %s has not improved on %.5g%s for %d epochs", trainer.monitor, self.mark, less, self.waited
            )
            trainer.stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"waited": self.waited, "mark": self.mark}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        # A run that was begun before there were marks was compared with its best.
        self.waited = state["waited"]
        self.mark = state.get("mark", self.trainer.best.get(self.trainer.monitor, math.nan))
        self.trainer.stop = self.waited >= self.patience  # a run that stopped goes on with more patience

    def _enough(self, now: float) -> bool:
        gain = self.mark - now if self.trainer.mode == "minimize" else now - self.mark
        return math.isnan(self.mark) or gain >= self.min_delta
