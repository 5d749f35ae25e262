"""Writes the journal: averages of the training figures, what validation found, and lists what was left out."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class Log(Callback):
    """Averages since the last line, read from the device once per line, and what other callbacks add to it.

    They are over the samples of all replicas, but for steps of a line in whose midst a run was interrupted: of those it
    goes on with what the first one saw.

    Args:
        every_steps: steps between two lines of training figures; the end of an epoch has one, too.
    """

    def __init__(self, every_steps: int = 20) -> None:
        if every_steps < 1:
            raise ValueError(f"callback.log.every_steps is {every_steps}; expected 1 or more")
        self.every_steps = every_steps
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}
        self.unread: list[Mapping[str, Tensor]] = []  # figures of steps that are not in the sums yet
        self.unwritten: list[tuple[int, dict[str, float]]] = []
        self.listed: set[str] = set()  # faults of the data that are in the run's list
        self._restart_clock()

    def fit_start(self, trainer: Trainer) -> None:
        file = trainer.run.path / "left_out.txt"
        self.listed = set(file.read_text().splitlines()) if file.exists() else set()  # of a run that is resumed
        if trainer.hardware.main:
            self._list_faults(trainer)
        self.listed |= set(_faults(trainer))  # replicas find the same ones at the start

    def epoch_start(self, trainer: Trainer) -> None:
        self._restart_clock()  # validation is not training time

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        self.unread.append(terms)
        self.steps += 1
        if trainer.hardware.compilation is not None:
            trainer.hardware.compilation.look(trainer.progress.step)
        if trainer.progress.step % self.every_steps == 0:
            self._write(trainer)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        self._list_faults(trainer)
        self._write(trainer)
        figures = {f"val/{name}": value for name, value in metrics.items()}
        best = {f"val/best_{trainer.monitor}": trainer.best[trainer.monitor]}
        self._record(trainer, {**figures, **best, "train/epoch": float(trainer.epoch)})

    def state_dict(self) -> dict[str, Any]:
        """The sums of a line that is not complete yet, so that an interruption does not change it."""
        self._add()
        return {
            "sums": {name: value.cpu() for name, value in self.sums.items()},
            "counts": {name: value.cpu() for name, value in self.counts.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = state["sums"], state["counts"]

    def _add(self) -> None:
        """Add the steps since the last time to the sums, in their order, so that it is all the same when it is done."""
        for names, steps in itertools.groupby(self.unread, tuple):
            values = torch.stack([value for terms in steps for value in terms.values()]).unflatten(0, (-1, len(names)))
            none = values.new_zeros(())
            fine = torch.isfinite(values)  # a step that was left out is not part of an average
            for kept, rows in ((self.sums, torch.where(fine, values, 0.0)), (self.counts, fine.to(values.dtype))):
                total = torch.stack([kept.get(name, none).to(values.device) for name in names])
                for row in rows:
                    total = total + row
                kept.update(zip(names, total, strict=True))
        self.unread = []

    def _list_faults(self, trainer: Trainer) -> None:
        """Add the faults found since the last time to the run's list."""
        lines = [line for line in _faults(trainer) if line not in self.listed]
        if lines:
            self.listed |= set(lines)
            file = trainer.run.path / "left_out.txt"
            try:
                with file.open("a") as handle:
                    handle.write("\n".join(lines) + "\n")
            except OSError as error:
                logger.warning("%s can't be written: %s", file, error.strerror or error)
            logger.warning("%d faulty rows or images were left out; they are listed in %s", len(lines), file)

    def _write(self, trainer: Trainer) -> None:
        self._add()
        if not self.sums:
            return
        device = trainer.hardware.device
        both = [torch.stack([tensor.to(device) for tensor in part.values()]) for part in (self.sums, self.counts)]
        sums, counts = trainer.hardware.total(torch.stack(both))
        means = dict(zip(self.sums, sums / counts, strict=True))
        for callback in trainer.callbacks.values():
            means |= {name: value.to(device) for name, value in callback.figures().items()}
        read = torch.stack(list(means.values())).tolist()
        figures = {f"train/{name}": mean for name, mean in zip(means, read, strict=True)}
        rates = sorted({group["lr"] for group in trainer.optimizer.param_groups}, reverse=True)
        figures |= {"train/lr" if i == 0 else f"train/lr_{i}": rate for i, rate in enumerate(rates)}
        samples = self.steps * trainer.plan.batch_size * trainer.accumulate * trainer.hardware.replicas
        figures["train/samples_per_s"] = samples / max(time.perf_counter() - self.since, 1e-9)
        if trainer.hardware.compilation is not None:
            figures |= {f"train/{name}": value for name, value in trainer.hardware.compilation.figures().items()}
        self._record(trainer, figures)
        self.sums, self.counts = {}, {}
        self._restart_clock()

    def _record(self, trainer: Trainer, figures: dict[str, float]) -> None:
        """Write a line; a disk that is full costs no more than a delay."""
        if not trainer.hardware.main:
            return
        self.unwritten.append((trainer.progress.step, figures))
        try:
            while self.unwritten:
                trainer.run.journal.write(*self.unwritten[0])
                self.unwritten.pop(0)
        except OSError as error:
            logger.warning("could not write to the journal: %s; %d lines wait", error, len(self.unwritten))

    def _restart_clock(self) -> None:
        self.since, self.steps = time.perf_counter(), 0


def _faults(trainer: Trainer) -> list[str]:
    sets = {"train": trainer.train_set, "val": trainer.val_set}
    return [f"{split}: {' '.join(str(fault).split())}" for split, samples in sets.items() for fault in samples.faults]
