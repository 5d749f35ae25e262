"""What a model costs to run, as figures beside those of its quality."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import torch

from gaze.callbacks.callback import Callback
from gaze.types import collate

if TYPE_CHECKING:
    from gaze.trainer import Trainer

NAMES = ("latency_ms", "parameters_m")
QUANTILE = 0.1  # what else runs on the machine makes passes longer, never shorter
UNSURE = 1.5  # the median as a multiple of that: from here on the machine was busy

logger = logging.getLogger(__name__)


class Costs(Callback):
    """`latency_ms` and `parameters_m` of the model, measured when training has ended.

    The latency is what a tenth of single passes over one validation sample stay below, in float32, uncompiled, on the device of
    the run: for comparing models, on a machine that is otherwise idle. A wide spread is warned of.

    Args:
        passes: that are timed at least; a quarter as many come first and are not.
        seconds: for which passes go on.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, passes: int = 20, seconds: float = 2.0) -> None:
        if passes < 1:
            raise ValueError(f"callback.costs.passes is {passes}; expected 1 or more")
        self.passes, self.seconds = passes, seconds

    def fit_end(self, trainer: Trainer) -> None:
        if trainer.stopped_by:
            return
        costs = dict(zip(NAMES, (self._latency_ms(trainer), self._parameters_m(trainer)), strict=True))
        trainer.best = {**trainer.best, **costs}
        if trainer.hardware.main:
            figures = {f"val/{name}": value for name, value in costs.items()}
            trainer.run.journal.write(trainer.progress.step, figures)

    @torch.no_grad()
    def _latency_ms(self, trainer: Trainer) -> float:
        model, device = trainer.eval_model.eval(), trainer.hardware.device
        inputs = trainer.hardware.place(collate([trainer.val_set[0]])).inputs
        times: list[float] = []
        first = self.passes // 4
        end = time.perf_counter() + self.seconds
        while len(times) < first + self.passes or time.perf_counter() < end:
            begun = time.perf_counter()
            model(inputs)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begun)
        ordered = sorted(times[first:])
        low, median = ordered[int(QUANTILE * len(ordered))], ordered[len(ordered) // 2]
        if median > UNSURE * low:
            logger.warning(
                "latency_ms is unsure: half of %d passes took over %.3g ms, a tenth under %.3g ms; leave the machine to this run",
                *(len(ordered), 1000 * median, 1000 * low),
            )
        return 1000 * low

    def _parameters_m(self, trainer: Trainer) -> float:
        return sum(parameter.numel() for parameter in trainer.eval_model.parameters()) / 1e6
