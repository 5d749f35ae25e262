"""Shows how far a long piece of work is: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINES = 10  # plain lines in all


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A function to call with (done, total); shows the share, the rate in `unit` per second and the time left."""
    yield from _bar(unit) if sys.stdout.isatty() else _lines(unit)


def _bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(unit, total=None, rate="")
        start = time.monotonic()

        def show(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - start, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:.0f} {unit}/s")

        yield show


def _lines(unit: str) -> Iterator[Callable[[int, int], None]]:
    start = time.monotonic()
    shown = 0

    def show(done: int, total: int) -> None:
        nonlocal shown
        if done * LINES // max(total, 1) > shown:
            shown = done * LINES // total
            seconds = time.monotonic() - start
            left = seconds / done * (total - done)
            print(f"{done}/{total} {unit}, {done / max(seconds, 1e-9):.0f}/s, {left:.0f} s left", flush=True)

    yield show
