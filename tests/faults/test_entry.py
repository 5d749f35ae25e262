"""The entry as a process: signals, two runs in one directory, and a search."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from gaze.checkpoints import Checkpoints
from gaze.runs import Run
from gaze.sweeps.studies import open_study, storage_url
from tests.datasets.folders import write_gazefollow_folder
from tests.processes import Command
from tests.stubs.entry import TOY, start

LONG = (
    *TOY,
    "hardware.workers=2",
    "dir=run",
    "trainer.epochs=400",
    "callback=[log,checkpoint]",
    "callback.log.every_steps=1",
)
PATIENCE_S = 120  # a loaded machine takes half a minute to import torch


@pytest.fixture
def home(tmp_path):
    write_gazefollow_folder(tmp_path / "data", {"train": 12, "val": 4}, size=(32, 32))
    return tmp_path


@pytest.fixture
def running(home):
    """A run that has taken a few steps, and ends with the test."""
    process = start(home, *LONG)
    try:
        wait_for_steps(process, home / "run", 8)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_for_steps(process: Command, run: Path, steps: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        file = run / "metrics.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        if lines and json.loads(lines[-1])["step"] >= steps:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("training did not begin")


def alive(group: int) -> bool:
    """Is there still a process in the group?"""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.fault("K2")
@pytest.mark.slow
@pytest.mark.parametrize(("signum", "everyone", "code"), [(signal.SIGTERM, False, 143), (signal.SIGINT, True, 130)])
def test_a_signal_saves_the_run_and_it_goes_on(home, running, signum, everyone, code):
    (os.killpg if everyone else os.kill)(running.pid, signum)
    _, err = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == code, err
    assert f"stopped by {signum.name}; give the same command with dir=... to go on" in err
    assert "Traceback" not in err
    assert not alive(running.pid), "a loader worker outlived the run"
    newest = Checkpoints(home / "run" / "last").newest()
    assert newest is not None
    with Run(home / "run").locked():
        pass
    rest = start(home, *LONG[:-3], "trainer.epochs=1", "resume.allow=[trainer.epochs]", *LONG[-2:])
    _, err = rest.communicate(timeout=PATIENCE_S)
    assert rest.returncode == 0, err
    assert f"at step {int(newest.name.removeprefix('step-'))}" in err


@pytest.mark.fault("K10")
@pytest.mark.slow
def test_a_second_run_in_the_directory_is_refused_at_once(home, running):
    begun = time.monotonic()
    second = start(home, *LONG)
    _, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 1
    assert f"run is in use by process {running.pid}; wait for it, or choose another dir=" in err
    assert "Traceback" not in err
    assert running.poll() is None
    assert time.monotonic() - begun < PATIENCE_S / 2


@pytest.mark.slow
def test_a_search_of_two_hopeless_trials_prunes_both(home):
    words = (
        "sweep=lr",
        "study=two",
        "hydra.sweeper.n_trials=2",
        "hydra/sweeper/pruner=none",
        "hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner",
        "+hydra.sweeper.pruner.upper=0.0",  # which no distance is below
        "callback=[log,checkpoint]",
    )
    process = start(home, "-m", *TOY, *words, "trainer.epochs=2")
    _, err = process.communicate(timeout=2 * PATIENCE_S)
    assert process.returncode == 0, err
    folder = home / "outputs" / "gazelle_small" / "two"
    found = yaml.safe_load((folder / "optimization_results.yaml").read_text())
    assert found["trials"]["pruned"] == 2
    for trial in open_study(storage_url(None, folder), "two").trials:
        assert set(trial.params) == {"optimizer.optimizer.lr", "optimizer.optimizer.weight_decay"}
        lines = [json.loads(line) for line in (folder / str(trial.number) / "metrics.jsonl").read_text().splitlines()]
        epochs = {int(line["train/epoch"]): line["val/min_l2"] for line in lines if "val/min_l2" in line}
        assert trial.intermediate_values == epochs
        assert list(epochs) == [1], "it ended before its second epoch"
        assert [line["val/pruned"] for line in lines if "val/pruned" in line] == [1.0]
