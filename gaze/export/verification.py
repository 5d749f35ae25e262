"""Does an exported file say what the model says, and how fast?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from gaze.export.facts import ExportError
from gaze.export.format import Call

SECONDS, FEWEST, MOST = 1.0, 3, 50  # of measuring each latency, and how many repetitions


@dataclass(frozen=True)
class Trial:
    """Inputs, and what PyTorch says about them."""

    what: str  # it is, for messages
    inputs: dict[str, Tensor]
    wanted: Callable[[], dict[str, Tensor]]  # outputs by name
    rows: Int[Tensor, "n"] | None = None  # of the file's outputs, that answer; None: all, in their order


class Latency(NamedTuple):
    """Median milliseconds, one thread."""

    what: str
    torch_ms: float
    exported_ms: float


class Checks(NamedTuple):
    """What was seen while a file was compared with PyTorch."""

    difference: float | None  # the largest; None: such files can't be run here
    tolerance: float
    unit: str
    latencies: list[Latency]
    measured: dict[str, float]  # what was lost before the graph was made


def largest_difference(trials: Iterable[Trial], call: Call) -> float:
    """The largest difference of any output: of centimetres as they are, of other values above 1 as parts of the largest.

    Raises:
        ExportError: the outputs have other names or shapes, or are not finite.
    """
    largest = 0.0
    for trial in trials:
        wanted = trial.wanted()
        try:
            found = call(trial.inputs)
        except Exception as error:  # each runtime fails in its own way
            raise ExportError(f"the file fails on {trial.what}: {error}") from error
        if trial.rows is not None:
            found = {name: output[trial.rows] for name, output in found.items()}
        shapes = [{name: tuple(t.shape) for name, t in outputs.items()} for outputs in (wanted, found)]
        if shapes[0] != shapes[1]:
            raise ExportError(f"the file gives {shapes[1]} for {trial.what}; expected {shapes[0]}")
        for name, value in wanted.items():
            difference = (found[name] - value).abs().max().item() / _scale(name, value)
            if not difference < float("inf"):
                raise ExportError(f"{name} of {trial.what} is not finite in the file")
            largest = max(largest, difference)
    return largest


def _scale(name: str, value: Tensor) -> float:
    """What differences are measured in: the unit itself of points and probabilities, of others a part of the largest."""
    return 1.0 if name.endswith("_cm") else max(1.0, value.abs().max().item())


def latencies(trials: Iterable[Trial], call: Call) -> list[Latency]:
    """How long the model in PyTorch, and the file, take. Open the file inside `one_thread`."""
    found = []
    for trial in trials:
        with one_thread():
            eager = _median_ms(trial.wanted)
            found.append(Latency(trial.what, eager, _median_ms(lambda trial=trial: call(trial.inputs))))  # type: ignore[misc]
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch, and sessions that are opened inside, use one CPU thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _median_ms(call: Callable[[], object]) -> float:
    call()
    times: list[float] = []
    while len(times) < FEWEST or (sum(times) < SECONDS and len(times) < MOST):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)
