"""Timing that survives an argument: candidates take turns, and only ratios within one run are quoted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch


class Timing(NamedTuple):
    """Seconds of one call."""

    best: float
    median: float


def interleaved(
    candidates: Mapping[str, Callable[[], object]], rounds: int, device: torch.device, wall: bool = False
) -> dict[str, Timing]:
    """What one call of each candidate takes. They are called in turn, `rounds` times after a warm-up.

    On a CPU processor time is counted, which other processes disturb least; with more than one thread it is
    the sum over threads. On an accelerator, wall time until the device has finished.

    Args:
        wall: count wall time on a CPU, too: for calls that wait, or whose work other processes do.
    """
    now = time.perf_counter if wall or device.type != "cpu" else time.process_time
    taken: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, call in candidates.items():
            _wait(device)
            begun = now()
            call()
            _wait(device)
            if turn:  # the first is the warm-up
                taken[name].append(now() - begun)
    return {name: Timing(min(times), statistics.median(times)) for name, times in taken.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
