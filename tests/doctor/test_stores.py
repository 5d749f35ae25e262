"""MLflow's and Optuna's databases: there, damaged, older, newer, locked, with trials left over."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gaze.doctor import stores
from gaze.doctor.case import Case
from tests.doctor.conftest import lines, only


def store(file: Path, revision: str, *statements: str) -> Case:
    """A database with tables of a version, and a case that logs to it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("CREATE TABLE alembic_version (version_num TEXT)")
        opened.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        for statement in statements:
            opened.execute(statement)
        opened.commit()
    return logged(f"sqlite:///{file}")


def logged(uri: str) -> Case:
    return Case(config=OmegaConf.create({"logger": {"tracking_uri": uri}}))


def newest(package: str) -> str:
    (revision,) = stores.migrations(package)[1]
    return revision


def test_each_package_has_one_newest_version_of_its_tables():
    for package in ("mlflow", "optuna"):
        known, last = stores.migrations(package)
        assert len(last) == 1
        assert len(known) > 3
    assert stores.migrations("no_such_package") == (set(), set())


def test_a_store_that_is_not_there_yet_is_fine(tmp_path):
    level, said = only(stores.mlflow, logged(f"sqlite:///{tmp_path}/outputs/mlflow.db"))
    assert (level, said.endswith("is made by the first run")) == ("ok", True)
    assert not (tmp_path / "outputs").exists()


def test_a_store_of_the_installed_version_is_fine_and_stays_as_it_is(tmp_path):
    case = store(tmp_path / "mlflow.db", newest("mlflow"))
    before = (tmp_path / "mlflow.db").read_bytes()
    assert only(stores.mlflow, case)[0] == "ok"
    assert (tmp_path / "mlflow.db").read_bytes() == before
    assert os.listdir(tmp_path) == ["mlflow.db"]


def test_other_versions_of_tables(tmp_path):
    older = sorted(stores.migrations("mlflow")[0] - stores.migrations("mlflow")[1])[0]
    level, said = only(stores.mlflow, store(tmp_path / "older.db", older))
    assert level == "problem"
    assert f"copy it, then mlflow db upgrade sqlite:///{tmp_path}/older.db" in said
    level, said = only(stores.mlflow, store(tmp_path / "newer.db", "0123456789ab"))
    assert level == "problem"
    assert said.endswith("pip install -U mlflow")


def test_a_store_that_somebody_holds_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "PATIENCE_S", 0.05)
    case = store(tmp_path / "mlflow.db", newest("mlflow"))
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        level, said = only(stores.mlflow, case)
        assert (level, "fuser" in said) == ("warning", True)
        other.execute("ROLLBACK")
        other.execute("BEGIN EXCLUSIVE")
        assert "is locked by another process" in only(stores.mlflow, case)[1]


@pytest.mark.parametrize("content", [b"not a database at all, and long enough to be read as one" * 20, b""])
def test_a_file_that_is_no_store(tmp_path, content):
    (tmp_path / "mlflow.db").write_bytes(content)
    level, said = only(stores.mlflow, logged(f"sqlite:///{tmp_path}/mlflow.db"))
    assert level == "problem"
    assert "move it away" in said


def test_a_truncated_store_is_damaged(tmp_path):
    case = store(
        tmp_path / "mlflow.db", newest("mlflow"), "CREATE TABLE big (x)", "INSERT INTO big VALUES (zeroblob(100000))"
    )
    file = tmp_path / "mlflow.db"
    file.write_bytes(file.read_bytes()[:-50000])
    level, said = only(stores.mlflow, case)
    assert level == "problem"
    assert "damaged" in said


def test_servers_and_folders():
    level, said = only(stores.mlflow, logged("http://127.0.0.1:9"))
    assert level == "warning"
    assert said.endswith("start it, or logger=none")
    level, said = only(stores.mlflow, logged("./mlruns"))
    assert level == "problem"
    assert "use sqlite:///outputs/mlflow.db" in said
    level, said = only(stores.mlflow, logged("postgresql+nodriver://me:secret@127.0.0.1:9/db"))
    assert level == "problem"
    assert "secret" not in said


def test_trials_left_running_are_told(tmp_path):
    trials = ["CREATE TABLE trials (state TEXT)", *["INSERT INTO trials VALUES ('COMPLETE')"] * 3]
    store(tmp_path / "a" / "study.db", newest("optuna"), *trials)
    found = lines(stores.optuna, Case(run=tmp_path / "a"))
    assert [(f.level.value, f.said) for f in found][-1] == ("ok", "3 complete")
    store(tmp_path / "b" / "study.db", newest("optuna"), *trials, "INSERT INTO trials VALUES ('RUNNING')")
    found = lines(stores.optuna, Case(run=tmp_path / "b"))
    assert [f.level.value for f in found] == ["ok", "warning"]
    assert found[1].said.startswith("3 complete, 1 running; if no sweep works on them now")
    assert lines(stores.optuna, Case(run=tmp_path)) == []


def test_a_transaction_that_a_kill_cut_off_is_no_damage(tmp_path):
    trials = ["CREATE TABLE trials (state TEXT)", "INSERT INTO trials VALUES ('COMPLETE')"]
    store(tmp_path / "study.db", newest("optuna"), *trials)
    child = os.fork()
    if child == 0:
        opened = sqlite3.connect(tmp_path / "study.db", isolation_level=None)
        opened.execute("PRAGMA cache_size=2")
        opened.execute("BEGIN IMMEDIATE")
        opened.execute("CREATE TABLE junk (x)")
        opened.executemany("INSERT INTO junk VALUES (?)", [("y" * 2000,)] * 200)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"study.db", "study.db-journal"}
    found = lines(stores.optuna, Case(run=tmp_path))
    assert [f.level.value for f in found] == ["warning", "ok", "ok"]
    assert "the next run repairs it: don't move or delete either" in found[0].said
    assert found[2].said == "1 complete"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "uri", ["http://me:s3cret@127.0.0.1:9", "http://me:s3/cret@127.0.0.1:9", "postgresql://me:s3/cr@et@127.0.0.1:9/db"]
)
def test_passwords_are_not_repeated(uri):
    level, said = only(stores.mlflow, logged(uri))
    assert (level in ("warning", "problem"), "127.0.0.1:9" in said) == (True, True)
    assert not any(part in said for part in ("me:", "s3", "cr@", "et@", "cret"))


def test_a_name_and_a_password_become_a_header(monkeypatch):
    assert stores.credentials("http://me:a%40b@host") == {"Authorization": "Basic bWU6YUBi"}
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "abc")
    assert stores.credentials("http://host") == {"Authorization": "Bearer abc"}
