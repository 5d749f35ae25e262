"""Shows how far training is: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class ProgressBar(Callback):
    """A bar over all steps of the run with loss, rate and time left; a line for each epoch.

    Args:
        every_s: seconds between two updates of the bar. Each reads the loss from the device, so not every step.
        line_s: seconds between two lines where there is no terminal.
    """

    def __init__(self, every_s: float = 0.5, line_s: float = 60.0) -> None:
        self.every_s, self.line_s = every_s, line_s
        self.console = Console()
        # No refreshing thread: loader workers are forked from this process.
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}  {task.fields[rate]} samples/s  left"),
            TimeRemainingColumn(),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )

    def fit_start(self, trainer: Trainer) -> None:
        self.shown = trainer.hardware.main
        self.live = self.shown and self.console.is_terminal
        self.started = self.updated = time.perf_counter()
        self.first_step = self.updated_step = trainer.progress.step
        self.task = self.bar.add_task(
            "", total=trainer.progress.steps, completed=self.first_step, epoch="-", loss="-", rate="-"
        )
        if self.live:
            atexit.register(self.bar.stop)  # an exception must not leave the terminal without a cursor
            self.bar.start()

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        now, step = time.perf_counter(), trainer.progress.step
        if not self.shown or now - self.updated < (self.every_s if self.live else self.line_s):
            return
        per_step = trainer.plan.batch_size * trainer.accumulate * trainer.hardware.replicas
        rate = (step - self.updated_step) * per_step / (now - self.updated)
        if self.live:
            self.bar.update(
                self.task,
                completed=step,
                epoch=f"{trainer.epoch + 1}/{trainer.epochs}",
                loss=f"{float(terms['loss']):.4f}",
                rate=f"{rate:.0f}",
                refresh=True,
            )
        else:
            self.console.print(
                f"epoch {trainer.epoch + 1}/{trainer.epochs}  step {step}/{trainer.progress.steps}  "
                f"loss {float(terms['loss']):.4f}  {rate:.0f} samples/s  {clock(self._left(trainer))} left",
                highlight=False,
                soft_wrap=True,
            )
        self.updated, self.updated_step = now, step

    def _left(self, trainer: Trainer) -> float:
        """Seconds that the rest will take if it goes on as so far."""
        steps = trainer.progress.step - self.first_step
        return (time.perf_counter() - self.started) / max(steps, 1) * (trainer.progress.steps - trainer.progress.step)

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        if not self.shown:
            return
        figures = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        spent = time.perf_counter() - self.started
        mark = "  * best" if trainer.improved else ""
        self.console.print(
            f"epoch {trainer.epoch}/{trainer.epochs}  {figures}  {clock(spent)} spent, {clock(self._left(trainer))} left{mark}",
            highlight=False,
            soft_wrap=True,
        )
        self.updated, self.updated_step = time.perf_counter(), trainer.progress.step

    def fit_end(self, trainer: Trainer) -> None:
        self.bar.stop()


def clock(seconds: float) -> str:
    """Minutes and seconds, with hours when there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
