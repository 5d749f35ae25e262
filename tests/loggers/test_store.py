"""URIs mean the same from everywhere, and a new database survives several processes."""

import subprocess
import sys

import pytest

from gaze.loggers.mlflow import MLflow
from gaze.loggers.store import artifact_location, resolved


def test_relative_databases_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolved("sqlite:///outputs/mlflow.db") == f"sqlite:///{tmp_path}/outputs/mlflow.db"
    assert resolved("sqlite:////a/b.db") == "sqlite:////a/b.db"
    assert resolved("https://host:5000") == "https://host:5000"


def test_files_go_beside_the_database():
    assert artifact_location("sqlite:////a/mlflow.db", None, "my run") == "file:///a/mlartifacts/my_run"
    assert artifact_location("http://host", None, "x") is None
    assert artifact_location("postgresql://host/db", "s3://bucket/runs/", "x") == "s3://bucket/runs/x"


@pytest.mark.fault("T4")
@pytest.mark.parametrize("uri", ["./mlruns", "file:///a/mlruns", "sqlite://", "sqlite:///", "outputs/mlflow.db"])
def test_a_file_store_is_refused_with_the_remedy(uri):
    with pytest.raises(ValueError, match=r"sqlite:///outputs/mlflow\.db"):
        MLflow("toy", uri)


def test_a_bare_database_needs_a_place_for_files():
    with pytest.raises(ValueError, match=r"logger\.artifacts") as raised:
        MLflow("toy", "postgresql+psycopg://me:pw@host/db")
    assert "pw" not in str(raised.value)


@pytest.mark.fault("T2")
@pytest.mark.slow
def test_four_processes_can_make_the_same_new_database(tmp_path):
    code = (
        "import os, sys, mlflow.store.tracking.sqlalchemy_store\n"  # once for all four
        "from gaze.loggers.store import connect\n"
        "def make():\n"
        "    run = connect(sys.argv[1]).create_run('0').info.run_id\n"
        "    os.write(1, f'{run}\\n'.encode())\n"
        "    os._exit(0)\n"
        "children = [os.fork() or make() for _ in range(4)]\n"
        "sys.exit(any([os.waitpid(child, 0)[1] for child in children]))\n"
    )
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path}/new/mlflow.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert len(set(done.stdout.split())) == 4
