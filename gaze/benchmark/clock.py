"""Timing that survives an argument: candidates take turns, and only ratios within one run are quoted."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch


class Timing(NamedTuple):
    """Seconds of one call."""

    best: float
    median: float
    spread: float = 0.0  # distance of the quartiles of all rounds, as a part of their median
    memory: int = 0  # the most bytes that a call took on the accelerator, beyond what was there before; 0 on a CPU


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
    held = dict.fromkeys(candidates, 0)
    for turn in range(rounds + 1):
        for name, call in candidates.items():
            _wait(device)
            there = _memory(device)
            begun = now()
            call()
            _wait(device)
            if turn:  # the first is the warm-up
                taken[name].append(now() - begun)
            if device.type == "cuda":
                held[name] = max(held[name], torch.cuda.max_memory_allocated(device) - there)
    return {name: timing(times, held[name]) for name, times in taken.items()}


def timing(seconds: Sequence[float], memory: int = 0) -> Timing:
    """What calls that took so long say together."""
    median = statistics.median(seconds)
    low, _, high = statistics.quantiles(seconds, method="inclusive") if len(seconds) > 1 else (median,) * 3
    return Timing(min(seconds), median, (high - low) / median if median else 0.0, memory)


def _memory(device: torch.device) -> int:
    """Bytes that torch holds now, from which on the most is looked for."""
    if device.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(device)
    return torch.cuda.memory_allocated(device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
