"""Prints what is about to be trained: parameters in total, trainable and frozen, part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from gaze.callbacks.callback import Callback
from gaze.freezing import count_parameters

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class Summary(Callback):
    """A table of parameters, and how much data and time they get."""

    def __init__(self) -> None:
        self.console = Console()

    def fit_start(self, trainer: Trainer) -> None:
        if not trainer.hardware.main:
            return
        table = Table(
            "part", title=f"{type(trainer.model).__name__} on {trainer.hardware.device}", title_justify="left"
        )
        for heading in ("parameters", "trainable", "frozen"):
            table.add_column(heading, justify="right")
        for count in count_parameters(trainer.model):
            table.add_row(count.part, f"{count.total:,}", f"{count.trainable:,}", f"{count.frozen:,}")
        self.console.print(table)
        plan = trainer.plan
        self.console.print(
            f"{plan.samples:,} training and {len(trainer.val_set):,} validation samples; {trainer.epochs} epochs of "
            f"{plan.steps} steps of {plan.batch_size * plan.accumulate * plan.replicas} samples; writing to {trainer.run.path}",
            soft_wrap=True,
        )
