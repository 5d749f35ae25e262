"""Memory: what is said when it does not suffice, and that it does not grow."""

from __future__ import annotations

import gc
import resource
import sys
from types import SimpleNamespace

import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from gaze.explain import explained
from tests.processes import exit_code
from tests.stubs.training import line_trainer


def run_out(path) -> None:
    """Train on a machine that has 64 MiB left, on a batch that takes more."""
    sys.stderr = (path / "stderr").open("w", buffering=1)
    HydraConfig.get = lambda: SimpleNamespace(mode=RunMode.RUN)  # type: ignore[method-assign]

    class Greedy(Callback):
        def step_end(self, trainer, terms):
            torch.empty(1 << 30)  # 4 GiB

    @explained
    def entry(config) -> None:
        run = line_trainer(path, {"greedy": Greedy(), "checkpoint": Checkpoint()})
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize() + (64 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        run.fit()

    entry(OmegaConf.create({"trainer": {"batch_size": 8, "amp": False}}))


@pytest.mark.fault("O1")
def test_a_machine_without_memory_is_said_with_the_setting_to_turn_down(tmp_path):
    assert exit_code(run_out, tmp_path) == 1
    said = (tmp_path / "stderr").read_text()
    assert "error: memory does not suffice (" in said
    assert "turn down trainer.batch_size (now 8), or set trainer.amp=true" in said
    assert "Traceback" not in said


class Weigh(Callback):
    """How many blocks of memory Python holds at the end of each epoch."""

    def __init__(self):
        self.blocks = []

    def epoch_end(self, trainer, metrics):
        gc.collect()
        self.blocks.append(sys.getallocatedblocks())


@pytest.mark.fault("O2")
def test_epochs_leave_nothing_behind(tmp_path):
    weigh = Weigh()
    callbacks = {"ema": EMA(0.9), "log": Log(every_steps=2), "weigh": weigh, "checkpoint": Checkpoint(every_steps=3)}
    run = line_trainer(tmp_path, callbacks, epochs=10)
    gc.freeze()  # what pytest and torch hold would be looked at again and again
    try:
        run.fit()
    finally:
        gc.unfreeze()
    slope = (weigh.blocks[-1] - weigh.blocks[4]) / 5  # caches fill in the first epochs
    assert slope < 100, f"each epoch of 6 steps keeps {slope:.0f} objects: {weigh.blocks}"
