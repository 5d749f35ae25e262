"""What a model costs to run, as figures beside those of its quality."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

from gaze.callbacks.callback import Callback
from gaze.types import collate

if TYPE_CHECKING:
    from gaze.trainer import Trainer

NAMES = ("latency_ms", "parameters_m")


class Costs(Callback):
    """`latency_ms` and `parameters_m` of the model, measured when training has ended.

    The latency is the median of single passes over one validation sample in float32, uncompiled, on the device of the run:
    for comparing models, on a machine that is otherwise idle.

    Args:
        passes: that are timed; a quarter as many come first and are not.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, passes: int = 20) -> None:
        if passes < 1:
            raise ValueError(f"callback.costs.passes is {passes}; expected 1 or more")
        self.passes = passes

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
        times = []
        for _ in range(self.passes // 4 + self.passes):
            begun = time.perf_counter()
            model(inputs)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            times.append(time.perf_counter() - begun)
        return 1000 * statistics.median(times[-self.passes :])

    def _parameters_m(self, trainer: Trainer) -> float:
        return sum(parameter.numel() for parameter in trainer.eval_model.parameters()) / 1e6
