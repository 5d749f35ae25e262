"""Signals at awkward moments: amid a save, amid a line of the journal, and twice."""

from __future__ import annotations

import gc
import os
import signal

import pytest
import torch

from gaze import durable
from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.log import Log
from gaze.checkpoints import Checkpoints
from gaze.journal import Journal
from gaze.signals import Interrupted
from tests.stubs.line import Net
from tests.stubs.training import line_trainer


def trainer(path, **changes):
    return line_trainer(path, {"log": Log(every_steps=5), "checkpoint": Checkpoint(every_steps=4)}, **changes)


def end(run) -> list[torch.Tensor]:
    return [t.clone() for t in run.model.state_dict().values()]


@pytest.fixture(autouse=True)
def no_collection():
    """A KeyboardInterrupt that strikes while garbage is collected is swallowed there; hypothesis listens to collections."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run = trainer(tmp_path_factory.mktemp("whole"), epochs=2)
    run.fit()
    return end(run)


class Calls:
    """Does something at one call of a function, or at several, and what the function does in any case."""

    def __init__(self, real, at, action):
        self.real, self.at, self.action, self.count = real, at, action, 0

    def __call__(self, *args, **kwargs):
        self.count += 1
        if self.count in self.at:
            self.action()
        return self.real(*args, **kwargs)


@pytest.mark.fault("K2")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("phase", ["save", "log flush"])
def test_a_signal_amid_a_write_stops_after_it(tmp_path, monkeypatch, uninterrupted, phase, signum):
    owner, name = {"save": (durable.os, "fsync"), "log flush": (Journal, "write")}[phase]
    real = getattr(owner, name)
    calls = Calls(real, {2}, lambda: signal.raise_signal(signum))
    monkeypatch.setattr(owner, name, calls if owner is os else lambda *args: calls(*args))
    part = trainer(tmp_path, epochs=2)
    with pytest.raises(Interrupted) as stopped:
        part.fit()
    assert stopped.value.exit_code == 128 + signum
    assert part.progress.step == {"save": 4, "log flush": 6 + 1}[phase]  # what was written ended an epoch
    monkeypatch.undo()
    assert part.run.last.steps()[-1] == part.progress.step
    rest = trainer(tmp_path, epochs=2)
    rest.fit()
    assert all(map(torch.equal, end(rest), uninterrupted))


@pytest.mark.fault("K3")
@pytest.mark.parametrize(("second", "error"), [(signal.SIGTERM, Interrupted), (signal.SIGINT, KeyboardInterrupt)])
def test_a_second_signal_amid_a_save_loses_nothing(tmp_path, monkeypatch, uninterrupted, second, error):
    # Of step 6, which is saved twice: amid the second save, when its files are half flushed
    calls = Calls(os.fsync, {12, 13}, lambda: signal.raise_signal(second))
    monkeypatch.setattr(durable.os, "fsync", calls)
    with pytest.raises(error):
        trainer(tmp_path, epochs=2).fit()
    monkeypatch.undo()
    kept = Checkpoints(tmp_path / "last")
    assert kept.load(Net()) is not None
    rest = trainer(tmp_path, epochs=2)
    rest.fit()
    assert all(map(torch.equal, end(rest), uninterrupted))


@pytest.mark.fault("K3")
@pytest.mark.fault("K4")
@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_stop_amid_a_replacement_keeps_the_old_or_the_new(tmp_path, monkeypatch, renames):
    kept, done = Checkpoints(tmp_path / "best", keep=1), []
    kept.save(6, Net(), {"value": 1})
    real = os.replace

    def replace(source, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    if renames == 2:
        monkeypatch.setattr(
            "gaze.checkpoints.flush", lambda path: done.append(path) if path != kept.directory else 1 / 0
        )
    with pytest.raises((KeyboardInterrupt, Exception)):
        kept.save(6, Net(), {"value": 2})
    monkeypatch.undo()
    assert kept.steps() == [6]
    assert kept.load(Net())["value"] == (2 if renames == 2 else 1)
    kept.save(6, Net(), {"value": 3})
    assert kept.load(Net())["value"] == 3
    assert [path.name for path in kept.directory.iterdir()] == ["step-00000006"], "something was left lying about"
