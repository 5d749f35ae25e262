"""Faults by the dozen on a tiny trainer, and a table of what came of them:  nice python -m tests.faults.soak [KILLS]

K1  SIGKILL at KILLS (50) random steps, each followed by a resume: is the end that of a run without kills, bit for bit?
K2  SIGTERM at random moments: how long until the process has ended?
K4  an end amid the files of a checkpoint, 2 KILLS times: how often is no checkpoint left to go on from?
K7  one flipped bit, 20 KILLS times: how often is it found?
O2  20 epochs: how much memory does each take for good?
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import Queue
from pathlib import Path

import psutil
import torch

from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from gaze.checkpoints import Checkpoints
from gaze.hardware import Hardware
from gaze.manifests import verify
from gaze.signals import Interrupted
from tests.faults.test_kill import KillAt, outcome
from tests.faults.test_writes import at_offsets, die_for_real
from tests.processes import _run, context, exit_code
from tests.stubs.line import Net
from tests.stubs.training import line_trainer

EPOCHS = 50  # of 6 steps
MODES = {"fp32, workers 0": (0, False), "fp32, workers 2": (2, False), "bf16, workers 0": (0, True)}


def trainer(path: Path, workers: int, amp: bool, more: dict[str, Callback] | None = None, epochs: int = EPOCHS):
    torch.set_num_threads(1)
    callbacks = {"ema": EMA(0.9), "log": Log(every_steps=5), **(more or {}), "checkpoint": Checkpoint(every_steps=4)}
    hardware = Hardware(device="cpu", workers=workers)
    return line_trainer(path, callbacks, hardware=hardware, amp=amp, epochs=epochs)


def fit(path: Path, workers: int, amp: bool, kill_at: int | None = None) -> None:
    run = trainer(path, workers, amp, {"kill": KillAt(kill_at)} if kill_at is not None else None)
    run.fit()
    torch.save(outcome(run), path / "outcome.pt")


def kills(where: Path, count: int) -> Iterator[tuple[str, str, str]]:
    steps = EPOCHS * 6
    for mode, (workers, amp) in MODES.items():
        whole, killed = where / f"whole {mode}", where / f"killed {mode}"
        assert exit_code(fit, whole, workers, amp) == 0
        draws = random.Random(mode)
        for step in sorted(draws.sample(range(1, steps), min(count, steps - 1))):
            assert exit_code(fit, killed, workers, amp, step) == -signal.SIGKILL, f"it was to be killed at step {step}"
        assert exit_code(fit, killed, workers, amp) == 0
        ours, theirs = (torch.load(path / "outcome.pt") for path in (killed, whole))
        same = sum(map(torch.equal, ours, theirs))
        yield "K1", f"tensors identical after {count} kills, {mode}", f"{same} / {len(theirs)}"


def fit_and_say(path: Path, workers: int, begun) -> None:
    class Say(Callback):
        def step_end(self, trainer, terms):
            if trainer.progress.step == 3:
                begun.put(trainer.progress.step)

    try:
        trainer(path, workers, False, {"say": Say()}, epochs=10**5).fit()
    except Interrupted as stop:
        sys.exit(stop.exit_code)


def stops(where: Path, count: int) -> Iterator[tuple[str, str, str]]:
    for workers in (0, 2):
        times = []
        for number in range(count):
            begun: Queue[int] = context().Queue()
            run = where / f"stop {workers} {number}"
            child = context().Process(target=_run, args=(fit_and_say, run, workers, begun))
            child.start()
            begun.get(timeout=120)
            time.sleep(random.Random(number).random())
            os.kill(child.pid or 0, signal.SIGTERM)
            since = time.monotonic()
            child.join(120)
            times.append(time.monotonic() - since)
            assert child.exitcode == 128 + signal.SIGTERM, child.exitcode
            assert Checkpoints(run / "last").newest() is not None
        yield "K2", f"longest of {count} stops on SIGTERM, workers {workers}", f"{max(times):.2f} s"


def writes(where: Path, count: int) -> Iterator[tuple[str, str, str]]:
    died, unreadable = at_offsets(where / "writes", count, die_for_real)
    yield "K4", f"unreadable after {died} kills amid a file", f"{unreadable} / {count}"


def flips(where: Path, count: int) -> Iterator[tuple[str, str, str]]:
    kept = Checkpoints(where / "flips")
    kept.save(1, Net(), {"optimizer": torch.optim.AdamW(Net().parameters()).state_dict()})
    files, draw, found = sorted(kept.path(1).iterdir()), random.Random(0), 0
    for number in range(count):
        file = files[number % len(files)]
        whole = file.read_bytes()
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        found += verify(kept.path(1)) is not None
        file.write_bytes(whole)
    yield "K7", "flipped bits found", f"{found} / {count}"


class Weigh(Callback):
    """Notes the memory of this process and its workers at the end of each epoch, bytes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def epoch_end(self, trainer, metrics):
        process = psutil.Process()
        self.sizes.append(sum(p.memory_info().rss for p in (process, *process.children(recursive=True))))


def growth(where: Path) -> Iterator[tuple[str, str, str]]:
    for workers in (0, 2):
        weigh = Weigh()
        trainer(where / f"growth {workers}", workers, False, {"weigh": weigh}, epochs=20).fit()
        late = weigh.sizes[5:]  # the first epochs fill caches
        slope = (late[-1] - late[0]) / (len(late) - 1) / 2**20
        yield "O2", f"memory per epoch over the last {len(late)} of 20, workers {workers}", f"{slope:.3f} MiB"


def main(count: int) -> None:
    where = Path(tempfile.mkdtemp(prefix="soak-"))
    try:
        for rows in (growth(where), flips(where, 20 * count), writes(where, 2 * count), stops(where, max(1, count // 5)),
                     kills(where, count)):  # fmt: skip
            for row, what, figure in rows:
                print(f"{row}  {what:<60} {figure}", flush=True)
    finally:
        shutil.rmtree(where)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
