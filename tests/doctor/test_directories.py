"""Runs that exist: damaged checkpoints, what a kill left, whether they would go on."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import shutil

import pytest
import yaml
from torch import nn

from gaze.checkpoints import WEIGHTS, Checkpoints
from gaze.doctor import directories, weights
from gaze.doctor.case import Case
from gaze.manifests import MANIFEST, OWN, _own
from tests.doctor.conftest import lines, only


@pytest.fixture
def run(tmp_path):
    """A run with two checkpoints of `last` and one of `best`."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"_target_": "torch.nn.Linear"}, "seed": 0}))
    for kind, steps in (("last", (1, 2)), ("best", (1,))):
        for step in steps:
            Checkpoints(folder / kind).save(step, nn.Linear(2, 2), {"step": step})
    (folder / "metrics.jsonl").write_text('{"a": 1}\n{"a": 2}\n{"a"')
    return folder


def spoil(run, kind, step):
    file = Checkpoints(run / kind).path(step) / WEIGHTS
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_an_intact_run(run):
    assert only(directories.directory, Case(run=run)) == ("ok", "last at step 2, best at step 1")
    assert only(directories.directory, Case(run=run.parent)) == ("ok", "last at step 2, best at step 1")
    assert weights.usable_run(str(run)).said == "best/step-00000001 is intact"


def test_damaged_checkpoints_are_named(run):
    spoil(run, "last", 2)
    found = lines(directories.directory, Case(run=run))
    assert [f.level.value for f in found] == ["warning", "ok"]
    assert "has changed since it was written); step 1 is used instead" in found[0].said
    spoil(run, "best", 1)
    found = lines(directories.directory, Case(run=run))
    assert [f.level.value for f in found] == ["warning", "warning", "ok"]
    assert "the run goes on from last/: delete it, and step 1 of last/ is used" in found[1].said
    assert weights.usable_run(str(run)).level.value == "problem"
    spoil(run, "last", 1)
    found = lines(directories.directory, Case(run=run))
    assert [f.level.value for f in found] == ["problem"] * 3, "nor does it begin anew"
    assert all("the run can't go on; restore a copy, or start in a new directory" in f.said for f in found)


def test_one_of_a_newer_version_does_not_hide_others(run):
    path = Checkpoints(run / "best").path(1) / MANIFEST
    facts = {k: v for k, v in json.loads(path.read_text()).items() if k != OWN} | {"format": 99}
    path.write_text(json.dumps(facts | {OWN: _own(facts)}))
    found = lines(directories.directory, Case(run=run))
    assert [f.level.value for f in found] == ["problem", "ok"]
    assert "has format 99" in found[0].said


def test_the_only_copy_is_never_to_be_deleted(run):
    step, before = run / "last/step-00000002", run / "last/.replaced-00000002"
    shutil.copytree(step, before)
    assert ".replaced-00000002 in last/ is left from a kill, and step-00000002" in _said(run)
    spoil(run, "last", 2)
    assert "is intact, but step-00000002 is not: put it in the place" in _said(run)
    shutil.rmtree(step)
    assert "is the only copy of step-00000002: it is used as that; keep it" in _said(run)
    assert "delete" not in _said(run)


def _said(run):
    return " ".join(f.said for f in lines(directories.directory, Case(run=run)))


def test_what_a_kill_left_and_a_bad_line_are_told(run):
    (run / "last" / ".writing-00000003").mkdir()
    (run / "metrics.jsonl").write_text('{"a": 1}\n{"a\n{"a": 3}\n')
    said = [f.said for f in lines(directories.directory, Case(run=run)) if f.level.value == "warning"]
    assert said[0] == ".writing-00000003 in last/ is left from a kill: delete it"
    assert "line 2 can't be read" in said[1]


def test_places_that_hold_no_run(tmp_path):
    level, said = only(directories.directory, Case(run=tmp_path / "nowhere"))
    assert (level, "there is no folder" in said) == ("problem", True)
    assert "holds no run" in only(directories.directory, Case(run=tmp_path))[1]
    assert weights.usable_run(str(tmp_path)).level.value == "problem"
    (tmp_path / "config.yaml").write_text("model: {}")
    assert "begins anew" in only(directories.directory, Case(run=tmp_path))[1]


def _hold(file, ready, leave):
    with open(file, "w") as stream:
        fcntl.lockf(stream, fcntl.LOCK_EX)
        stream.write("4711")
        stream.flush()
        ready.set()
        leave.wait(30)


def test_a_run_in_use_is_told(run):
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(run / ".lock", ready, leave))
    other.start()
    assert ready.wait(30)
    assert "process 4711 trains in it" in next(directories.one_run(run)).said
    leave.set()
    other.join()
    assert "trains in it" not in next(directories.one_run(run)).said
