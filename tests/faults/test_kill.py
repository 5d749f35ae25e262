"""SIGKILL: a run that is killed at any moment and goes on ends bit-identical to one that was not."""

from __future__ import annotations

import os
import random
import signal

import pytest
import torch

from gaze import checkpoints
from gaze.callbacks.callback import Callback
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from tests.processes import exit_code
from tests.stubs.training import line_trainer

STEPS = 24  # of the whole run: 4 epochs of 6


def trainer(path, workers=0, kill_at=None):
    kill = {"kill": KillAt(kill_at)} if kill_at is not None else {}
    callbacks = {"ema": EMA(0.9), "log": Log(every_steps=5), **kill, "checkpoint": Checkpoint(every_steps=4)}
    return line_trainer(path, callbacks, workers=workers)


class KillAt(Callback):
    """Ends the process as a power failure would."""

    def __init__(self, step):
        self.step = step

    def step_end(self, trainer, terms):
        if trainer.progress.step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def outcome(run) -> list[torch.Tensor]:
    """Everything a run ends with: weights, optimizer moments, the average, and the figures."""
    optimizer = [t for s in run.optimizer.state_dict()["state"].values() for t in s.values()]
    figures = [v for e in run.run.journal.read() for k, v in sorted(e.values.items()) if "per_s" not in k]
    return [*run.model.state_dict().values(), *optimizer, *run.eval_model.state_dict().values(), torch.tensor(figures)]


def fit(path, workers=0, kill_at=None):
    trainer(path, workers, kill_at).fit()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = trainer(tmp_path_factory.mktemp("whole"))
    run.fit()
    return outcome(run)


@pytest.mark.fault("K1")
@pytest.mark.fault("P1")
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_killed_at_random_steps_and_resumed(tmp_path, workers, uninterrupted):
    for step in sorted(random.Random(workers).sample(range(1, STEPS), 3)):
        assert exit_code(fit, tmp_path, workers, step) == -signal.SIGKILL
    rest = trainer(tmp_path, workers)
    rest.fit()
    for ours, theirs in zip(outcome(rest), uninterrupted, strict=True):
        assert torch.equal(ours, theirs)


def fit_killed_in_a_save(path, call):
    """Die inside the `call`-th flush to disk, in the middle of writing a checkpoint."""
    real, count = os.fsync, [0]

    def fsync(descriptor):
        count[0] += 1
        if count[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor)

    checkpoints.os.fsync = fsync
    fit(path)


@pytest.mark.fault("K4")
@pytest.mark.parametrize("call", [1, 2, 5, 8, 13])
def test_killed_while_a_checkpoint_is_written(tmp_path, call, uninterrupted):
    assert exit_code(fit_killed_in_a_save, tmp_path, call) == -signal.SIGKILL
    rest = trainer(tmp_path)
    rest.fit()
    for ours, theirs in zip(outcome(rest), uninterrupted, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.fault("K7")
def test_a_damaged_checkpoint_costs_time_and_nothing_else(tmp_path, uninterrupted, caplog):
    exit_code(fit, tmp_path, 0, 11)
    newest = max((tmp_path / "last").iterdir())
    file = newest / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    rest = trainer(tmp_path)
    rest.fit()
    assert "step 8 is lost; falling back to step 6" in caplog.text
    for ours, theirs in zip(outcome(rest), uninterrupted, strict=True):
        assert torch.equal(ours, theirs)
