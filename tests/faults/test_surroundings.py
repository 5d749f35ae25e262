"""Clocks that jump, odd names and places, and any number of workers: none of it changes a result."""

from __future__ import annotations

import itertools
import json
import locale
import os
import random
import time
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from gaze.journal import Journal
from gaze.runs import Run, RunError, load_model
from tests.faults.test_damage import GOLDEN
from tests.stubs.line import Net
from tests.stubs.training import line_trainer

YEAR_S = 365.25 * 86400


def end(run) -> list[torch.Tensor]:
    return list(run.model.state_dict().values())


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    run = line_trainer(tmp_path_factory.mktemp("usual"), epochs=2)
    run.fit()
    return run


@pytest.mark.fault("P1")
@pytest.mark.parametrize("workers", [1, 4])
def test_the_number_of_workers_changes_nothing(tmp_path, usual, workers):
    run = line_trainer(tmp_path, epochs=2, workers=workers)
    run.fit()
    assert all(map(torch.equal, end(run), end(usual)))


@pytest.mark.fault("P1")
def test_passes_divide_a_step_and_do_not_change_its_samples(tmp_path):
    whole = line_trainer(tmp_path / "whole", batch_size=8).plan
    parts = line_trainer(tmp_path / "parts", batch_size=2, accumulate=4).plan
    assert list(itertools.chain(*whole)) == list(itertools.chain(*parts))
    assert whole.steps == parts.steps


@pytest.mark.fault("P2")
def test_a_clock_that_jumps_by_years_changes_nothing(tmp_path, usual, monkeypatch):
    draw, real = random.Random(0), time.time
    monkeypatch.setattr(time, "time", lambda: real() + draw.uniform(-10, 10) * YEAR_S)
    run = line_trainer(tmp_path, epochs=2)
    run.fit()
    assert all(map(torch.equal, end(run), end(usual)))
    assert run.best == usual.best
    assert [e.step for e in run.run.journal.read()] == [e.step for e in usual.run.journal.read()]
    again = line_trainer(tmp_path, epochs=2)  # goes on, finds it done
    assert again.fit() == usual.best


@pytest.mark.fault("P2")
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns", "nowhere"])
def test_notes_of_a_resumed_run_carry_their_time_zone(tmp_path, monkeypatch, zone):
    run = Run(tmp_path)
    run.open(OmegaConf.create({"seed": 0}), [], [])
    run.last.save(1, Net(), {})
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        run.open(OmegaConf.create({"seed": 0}), [], [])
    finally:
        monkeypatch.undo()
        time.tzset()
    moment = json.loads((tmp_path / "resumed.json").read_text())[0]["time"]
    assert abs(time.mktime(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S")) - time.time()) < 2 * 86400
    assert moment[19] in "+-"


@pytest.mark.fault("P2")
def test_a_decimal_comma_stays_out_of_files(tmp_path):
    before = locale.setlocale(locale.LC_ALL)
    found = [name for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8") if _has(name)]
    if not found:
        pytest.skip("no locale with a decimal comma is installed")
    try:
        locale.setlocale(locale.LC_ALL, found[0])
        Journal(tmp_path).write(1, {"train/loss": 0.5})
        assert Journal(tmp_path).read()[0].values == {"train/loss": 0.5}
        assert b'"train/loss": 0.5' in (tmp_path / "metrics.jsonl").read_bytes()
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _has(name: str) -> bool:
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_ALL, before)
    return True


@pytest.mark.fault("P2")
def test_a_run_in_a_directory_with_an_odd_name_goes_on(tmp_path, usual):
    path = tmp_path / "Blick 'é' \n 注視 [1]"
    for epochs in (1, 2):
        run = line_trainer(path, epochs=epochs)
        with run.run.locked():
            run.fit()
    assert run.progress.step == usual.progress.step
    assert [e.step for e in run.run.journal.read()] == [e.step for e in usual.run.journal.read()]


@pytest.mark.fault("P2")
def test_a_name_that_is_no_utf8_is_refused_before_anything_is_lost(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Blick \xff"))
    with pytest.raises(RunError, match=r"Blick \\udcff' is no UTF-8, .*choose another dir="), Run(path).locked():
        pass
    assert not path.exists()


@pytest.mark.fault("P2")
def test_a_model_is_read_from_a_place_that_may_only_be_read_without_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    before = {file: file.stat().st_mtime_ns for file in GOLDEN.rglob("*")}
    assert load_model(GOLDEN / "format-1" / "scene") is not None
    assert {file: file.stat().st_mtime_ns for file in GOLDEN.rglob("*")} == before
    assert not (tmp_path / "nowhere").exists()
