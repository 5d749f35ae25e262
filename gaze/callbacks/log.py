"""Writes the journal: averages of the training figures every few steps, and what validation found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class Log(Callback):
    """Averages since the last line, read from the device once per line.

    Args:
        every_steps: steps between two lines of training figures; the end of an epoch has one, too.
    """

    def __init__(self, every_steps: int = 20) -> None:
        if every_steps < 1:
            raise ValueError(f"callback.log.every_steps is {every_steps}; expected 1 or more")
        self.every_steps = every_steps
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self._restart_clock()

    def epoch_start(self, trainer: Trainer) -> None:
        self._restart_clock()  # validation is not training time

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value.clone()
            self.counts[name] = self.counts.get(name, 0) + 1
        self.steps += 1
        if trainer.progress.step % self.every_steps == 0:
            self._write(trainer)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        self._write(trainer)
        figures = {f"val/{name}": value for name, value in metrics.items()}
        best = {f"val/best_{trainer.monitor}": trainer.best[trainer.monitor]}
        if trainer.hardware.main:
            trainer.run.journal.write(trainer.progress.step, {**figures, **best, "train/epoch": float(trainer.epoch)})

    def state_dict(self) -> dict[str, Any]:
        """The sums of a line that is not complete yet, so that an interruption does not change it."""
        return {"sums": {name: value.cpu() for name, value in self.sums.items()}, "counts": dict(self.counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = state["sums"], state["counts"]

    def _write(self, trainer: Trainer) -> None:
        if not self.sums:
            return
        sums = torch.stack([value.to(trainer.hardware.device) for value in self.sums.values()]).tolist()
        figures = {f"train/{n}": total / self.counts[n] for n, total in zip(self.sums, sums, strict=True)}
        rates = sorted({group["lr"] for group in trainer.optimizer.param_groups}, reverse=True)
        figures |= {"train/lr" if i == 0 else f"train/lr_{i}": rate for i, rate in enumerate(rates)}
        samples = self.steps * trainer.plan.batch_size * trainer.accumulate * trainer.hardware.replicas
        figures["train/samples_per_s"] = samples / max(time.perf_counter() - self.since, 1e-9)
        if trainer.hardware.main:
            trainer.run.journal.write(trainer.progress.step, figures)
        self.sums, self.counts = {}, {}
        self._restart_clock()

    def _restart_clock(self) -> None:
        self.since, self.steps = time.perf_counter(), 0
