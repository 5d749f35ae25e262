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
def test_two_processes_can_make_the_same_new_database(tmp_path):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    code = (
        "import sys; from gaze.loggers.store import connect; c = connect(sys.argv[1]);"
        "print(c.create_run('0').info.run_id)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0] * 2, results
    assert len({out for out, _ in results}) == 2
