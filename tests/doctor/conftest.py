"""A folder to stand in, with a data set in it, and what the doctor says there."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hydra.core.global_hydra import GlobalHydra

from gaze.doctor.__main__ import run
from gaze.doctor.case import Case
from gaze.doctor.findings import Finding, isolated
from tests.datasets.folders import write_gazefollow_folder


class Told(NamedTuple):
    """How the doctor ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder that a user stands in."""
    write_gazefollow_folder(tmp_path / "data", {"train": 12, "val": 4}, size=(32, 32))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    GlobalHydra.instance().clear()


@pytest.fixture
def doctor(home, capsys):
    """`doctor(*words)`: the command line, in this process."""

    def examined(*words: str) -> Told:
        code = run(words)
        return Told(code, *capsys.readouterr())

    return examined


def lines(check, case: Case | None = None) -> list[Finding]:
    """What one check finds."""
    return isolated(check, case or Case())


def only(check, case: Case | None = None) -> tuple[str, str]:
    """Level and sentence of the one thing that a check finds."""
    (finding,) = lines(check, case)
    return finding.level.value, finding.said
