"""Whatever happens to the store, training goes on, ends in time, and nothing is lost."""

import contextlib
import http.server
import logging
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from gaze.journal import Journal
from gaze.loggers.ledger import Ledger
from gaze.loggers.mlflow import MLflow
from gaze.loggers.resend import resend
from gaze.loggers.store import connect
from tests.loggers.conftest import finish, history, train

QUICK = {"interval_s": 0.2, "system_s": 0.0}


SLOW_S = 0.2  # that a call of the server takes


def run_id(directory, uri):
    return Ledger(directory).cursors[uri].run_id


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@contextlib.contextmanager
def server(port, folder, monkeypatch, slow_s=SLOW_S):
    """MLflow's own server on loopback, in a thread and not in a hurry; `yield`s what ends it amid everything."""
    monkeypatch.setenv("_MLFLOW_SERVER_SERVE_ARTIFACTS", "true")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_ROOT", "mlflow-artifacts:/")
    monkeypatch.setenv("_MLFLOW_SERVER_ARTIFACT_DESTINATION", f"{folder}/files")
    from mlflow.server import app, handlers
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    for store in ("_tracking_store", "_model_registry_store", "_job_store", "_artifact_repo"):
        monkeypatch.setattr(
            handlers, store, None
        )  # or the first server of this process would answer for its own database
    handlers.initialize_backend_stores(f"sqlite:///{folder}/mlflow.db", default_artifact_root="mlflow-artifacts:/")

    def slow(environ, respond):
        time.sleep(slow_s)
        return app(environ, respond)

    made = make_server("127.0.0.1", port, slow, threaded=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()

    def die():
        made.shutdown()
        made.server_close()

    try:
        yield die
    finally:
        die()


@pytest.mark.slow
def test_a_run_arrives_and_a_resumed_one_goes_on_in_the_same(run, uri):
    logger = MLflow("toy", uri, **QUICK)
    logger.start(run)
    train(run, [0, 10, 20])
    logger.finish("KILLED")
    client, first = connect(uri), run_id(run, uri)
    assert client.get_run(first).info.status == "KILLED"

    Journal(run).rewind(10)
    logger = MLflow("toy", uri, interval_s=0.2, system_s=0.3)
    logger.start(run)
    train(run, [20, 30])
    finish(run)
    wait_for(lambda: any("system/cpu_utilization_percentage" in entry.values for entry in Journal(run).read()))
    logger.finish("FINISHED")
    assert run_id(run, uri) == first
    assert history(client, first) == [0, 10, 20, 30]
    assert history(client, first, "system/process_memory_megabytes")
    assert client.get_run(first).info.status == "FINISHED"


@pytest.mark.fault("T1")
@pytest.mark.slow
def test_nothing_is_lost_behind_a_closed_port(run, uri, caplog):
    logger = MLflow("toy", f"http://me:pw@127.0.0.1:{free_port()}", flush_s=30.0, **QUICK)
    before = time.monotonic()
    logger.start(run)
    started = time.monotonic() - before
    train(run, range(0, 50, 10))
    finish(run)
    wait_for(lambda: caplog.records)
    before = time.monotonic()
    logger.finish("FINISHED")
    assert started < 1.0
    assert time.monotonic() - before < 10.0
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert f"python tools/report.py run={run} send=true" in warnings[0]
    assert "pw" not in warnings[0] + (run / "mlflow.json").read_text()

    assert "sent 10 points" in resend(run, uri)
    assert history(connect(uri), run_id(run, uri)) == [0, 10, 20, 30, 40]
    assert "nothing was missing" in resend(run, uri)


@pytest.mark.fault("T1")
@pytest.mark.slow
def test_a_store_that_never_answers_costs_flush_s(run, caplog):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)
        deaf.settimeout(90.0)
        logger = MLflow("toy", f"http://127.0.0.1:{deaf.getsockname()[1]}", flush_s=1.0, **QUICK)
        logger.start(run)
        train(run, [0])
        first, _ = deaf.accept()  # it hangs in its first call
        with first:
            before = time.monotonic()
            logger.finish("FINISHED")
            assert time.monotonic() - before < 3.0
    assert "flush_s" in caplog.text
    assert Ledger(run).status == "FINISHED"


@pytest.mark.fault("T1")
@pytest.mark.slow
def test_a_server_that_only_fails_is_one_warning(run, caplog):
    class Broken(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.send_error(500)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken) as broken:
        threading.Thread(target=broken.serve_forever, daemon=True).start()
        logger = MLflow("toy", f"http://127.0.0.1:{broken.server_port}", flush_s=30.0, **QUICK)
        logger.start(run)
        train(run, [0])
        wait_for(lambda: caplog.records)
        before = time.monotonic()
        logger.finish("FINISHED")
        assert time.monotonic() - before < 10.0
        broken.shutdown()
    assert len(caplog.records) == 1
    assert Ledger(run).status == "FINISHED"


@pytest.mark.fault("T3")
@pytest.mark.slow
def test_a_database_that_somebody_else_locks_gets_everything_afterwards(run, uri, caplog):
    caplog.set_level(logging.INFO, logger="gaze")
    logger = MLflow("toy", uri, **QUICK)
    with contextlib.closing(sqlite3.connect(uri.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        logger.start(run)
        train(run, [0, 10])
        wait_for(lambda: "locked" in caplog.text)
        other.execute("ROLLBACK")
    train(run, [20])
    logger.finish("FINISHED")
    assert history(connect(uri), run_id(run, uri)) == [0, 10, 20]
    assert "has everything now" in caplog.text


@pytest.mark.fault("T1")
@pytest.mark.slow
def test_an_unwritable_database_is_one_warning(run, tmp_path, caplog):
    (tmp_path / "file").write_text("not a folder")
    logger = MLflow("toy", f"sqlite:///{tmp_path}/file/mlflow.db", flush_s=30.0, **QUICK)
    logger.start(run)
    train(run, [0])
    logger.finish("FINISHED")
    assert len(caplog.records) == 1
    assert "send=true" in caplog.text


@pytest.mark.fault("T1")
@pytest.mark.slow
def test_a_killed_training_is_reported_as_killed(run, uri):
    code = (
        "import sys, time; from pathlib import Path; from gaze.journal import Journal; from gaze.loggers.mlflow import MLflow;"
        "MLflow('toy', sys.argv[2], interval_s=0.2, system_s=0.0).start(Path(sys.argv[1]));"
        "Journal(Path(sys.argv[1])).write(5, {'train/loss': 1.0}); time.sleep(600)"
    )
    training = subprocess.Popen([sys.executable, "-c", code, str(run), uri])
    wait_for(lambda: (run / "mlflow.json").exists() and any(c.position for c in Ledger(run).cursors.values()))
    training.kill()
    training.wait()
    client = connect(uri)
    wait_for(lambda: client.get_run(run_id(run, uri)).info.status == "KILLED")
    assert history(client, run_id(run, uri)) == [5]


@pytest.mark.fault("T1")
@pytest.mark.slow
def test_a_slow_server_that_dies_midway_gets_every_point_once(run, tables, tmp_path, caplog, monkeypatch):
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(tables.read_bytes())
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    logger = MLflow("toy", uri, flush_s=20.0, **QUICK)
    with server(port, folder, monkeypatch) as die:
        logger.start(run)
        train(run, range(50))
        wait_for(lambda: (run / "mlflow.json").exists() and any(c.position for c in Ledger(run).cursors.values()))
        die()
        train(run, range(50, 120))
        finish(run)
        wait_for(lambda: caplog.records)
        logger.finish("FINISHED")
    assert len(caplog.records) == 1
    with server(port, folder, monkeypatch):
        assert uri in resend(run)
        client = connect(uri)
        found = client.get_run(run_id(run, uri))
        assert found.info.status == "FINISHED"
        assert history(client, found.info.run_id) == list(range(120))
        assert {"best", "config.yaml", "pictures"} <= {item.path for item in client.list_artifacts(found.info.run_id)}
        assert len(client.search_runs([found.info.experiment_id])) == 1
