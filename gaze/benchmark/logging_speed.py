"""What a step waits for its figures to be kept: our journal, whatever becomes of MLflow, against a call of MLflow each."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import torch

from gaze.benchmark.clock import Timing, interleaved
from gaze.benchmark.result import Result
from gaze.journal import Journal
from gaze.loggers import store
from gaze.loggers.mlflow import MLflow

STEPS = 20  # of a call
FIGURES = {"train/loss": 0.7, "train/heatmap": 0.6, "train/grad_norm": 1.0, "train/lr": 1e-3}


class Steps:
    """Steps that do nothing but have their figures kept, and how long each waited for it.

    Args:
        keep: the figures of a step.
    """

    def __init__(self, keep: Callable[[int], object]) -> None:
        self.keep, self.count = keep, 0
        self.waits: list[float] = []  # seconds

    def __call__(self) -> None:
        for _ in range(STEPS):
            begun = time.perf_counter()
            self.keep(self.count)
            self.waits.append(time.perf_counter() - begun)
            self.count += 1


def waiting(rounds: int) -> Iterator[Result]:
    """A figure of each kind at every step, with a store that answers, one that nobody runs, and one that never answers."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))  # takes calls and says nothing
        with socket.create_server(("127.0.0.1", 0)) as gone:
            ports = {"dead server": gone.getsockname()[1], "silent server": silent.getsockname()[1]}
        uris = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        every = {"published": Steps(_mlflow(f"sqlite:///{folder}/theirs.db"))}
        for name, uri in {"SQLite": f"sqlite:///{folder}/ours.db", **uris}.items():
            directory = Path(folder) / name
            directory.mkdir()
            courier = MLflow("benchmark", uri, interval_s=1.0, flush_s=60.0 if name == "SQLite" else 1.0)
            courier.start(directory)
            stack.callback(courier.finish, "FINISHED")
            every[name] = Steps(partial(_journal, Journal(directory)))
        timings = interleaved(every, rounds, torch.device("cpu"), wall=True)
        missing = {name: len(Journal(Path(folder) / name).read()) - every[name].count for name in list(every)[1:]}
    longest = {name: Timing(max(steps.waits[STEPS:]), max(steps.waits[STEPS:])) for name, steps in every.items()}
    yield _result("figures of a step, mean", STEPS, timings, missing)
    yield _result("figures of a step, longest wait", 1, longest, missing)


def _journal(journal: Journal, step: int) -> None:
    journal.write(step, FIGURES)


def _mlflow(uri: str) -> Callable[[int], None]:
    client = store.connect(uri)
    run = client.create_run(client.create_experiment("benchmark")).info.run_id

    def keep(step: int) -> None:
        for name, value in FIGURES.items():
            client.log_metric(run, name, value, step=step)

    return keep


def _result(name: str, steps: int, timings: Mapping[str, Timing], missing: Mapping[str, int]) -> Result:
    return Result(
        name=name,
        unit="steps",
        units=steps,
        timings=timings,
        goals=dict.fromkeys(missing, 20.0),
        difference=float(max(abs(lines) for lines in missing.values())),
        tolerance=0.0,
        limits={},
    )
