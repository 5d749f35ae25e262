"""What a search found arrives at the sweep's run, again and again without doubling; a store that is away costs a warning."""

import json
import socket
import time
from pathlib import Path

import pytest

from gaze.errors import UserError
from gaze.loggers import sweep
from gaze.loggers.ledger import Ledger
from gaze.loggers.mlflow import MLflow
from gaze.loggers.note import code, note, word
from gaze.loggers.resend import resend_study
from gaze.loggers.store import connect
from gaze.loggers.study import StudyDelivery, settings_of

FACTS = {
    "study": "toy_lr",
    "objectives": [{"name": "min_l2", "direction": "minimize"}],
    "trials": {"complete": 2, "pruned": 1},
    "space": {"optimizer.lr": "1e-05 to 0.1, logarithmic", "backbone@model": "one of a, b"},
    "sampler": "TPESampler",
    "pruner": None,
    "importance": [{"objective": "min_l2", "shares": {"optimizer.lr": 0.75, "backbone@model": 0.25}, "missing": ""}],
    "best": [
        {
            "number": 1,
            "values": {"min_l2": 0.125},
            "parameters": {"optimizer.lr": 0.001, "backbone@model": "a"},
            "directory": "1",
            "command": "python -m gaze.train optimizer.lr=0.001 model.api_token=sekrit",
        }
    ],
}
ROWS = "number,state,min_l2\n0,COMPLETE,0.5\n1,COMPLETE,0.125\n2,PRUNED,0.9\n"


def reviewed(folder: Path, facts=FACTS, rows=ROWS) -> Path:
    """The directory of a sweep as a review leaves it."""
    (folder / "study").mkdir(parents=True, exist_ok=True)
    (folder / "study" / "study.json").write_text(json.dumps(facts))
    (folder / "study" / "study.csv").write_text(rows)
    (folder / "study" / "history.png").write_bytes(b"png")
    return folder


def send(folder, uri, **settings):
    ledger = Ledger(folder / "study")
    ledger.settings = {"experiment": "toy", **settings}
    return StudyDelivery(folder, ledger, uri).send()


@pytest.fixture
def trials(uri):
    """A client, the sweep's run and its trials' runs by number."""
    client = connect(uri)
    experiment = client.create_experiment("toy", artifact_location=f"file://{Path(uri[10:]).parent}/files")
    parent = sweep.parent(client, experiment, "toy_lr")
    made = {
        number: client.create_run(
            experiment, tags={"mlflow.parentRunId": parent, "trial": str(number), "command": "train -m sweep=lr"}
        ).info.run_id
        for number in (2, 0, 1)
    }
    return client, parent, made


def test_the_parent_says_what_was_searched_and_found(trials, uri, tmp_path):
    client, parent, runs = trials
    folder = reviewed(tmp_path / "toy_lr")
    assert send(folder, uri) == 3
    data = client.get_run(parent).data
    assert data.params == {
        "space.optimizer.lr": "1e-05 to 0.1, logarithmic",
        "space.backbone_model": "one of a, b",
        "sampler": "TPESampler",
        "objective.min_l2": "minimize",
    }
    assert (data.tags["trials.complete"], data.tags["trials.pruned"]) == ("2", "1")
    assert (data.tags["best_trial"], data.tags["best_run_id"]) == ("1", runs[1])
    assert data.tags["command"] == "train -m sweep=lr"
    description = data.tags["mlflow.note.content"]
    assert runs[1] in description
    assert "optimizer.lr=0.001" in description
    assert "sekrit" not in description
    assert "75%" in description
    assert {item.path for item in client.list_artifacts(parent, "study")} == {
        "study/study.json", "study/study.csv", "study/history.png"
    }  # fmt: skip
    states = {number: client.get_run(run_id).data.tags["trial_state"] for number, run_id in runs.items()}
    assert states == {0: "COMPLETE", 1: "COMPLETE", 2: "PRUNED"}
    assert {n for n, run_id in runs.items() if "gaze_best" in client.get_run(run_id).data.tags} == {1}
    best = [(point.step, point.value) for point in client.get_metric_history(parent, "study/best_min_l2")]
    assert best[:2] == [(0, 0.5), (1, 0.125)]

    # The same again sends nothing; a better trial takes the tag over.
    assert send(folder, uri) == 0
    assert len(client.get_metric_history(parent, "study/best_min_l2")) == 2
    better = FACTS | {"best": [FACTS["best"][0] | {"number": 0}], "trials": {"complete": 3}, "sampler": "GPSampler"}
    reviewed(folder, better, ROWS.replace("0.5", "0.1"))
    assert send(folder, uri) == 3
    assert {n for n, run_id in runs.items() if "gaze_best" in client.get_run(run_id).data.tags} == {0}
    tags = client.get_run(parent).data.tags
    assert tags["best_trial"] == "0"
    assert "trials.pruned" not in tags
    assert tags["resumed.sampler"] == "GPSampler"


def test_a_trial_that_failed_before_it_had_a_run_gets_one(trials, uri, tmp_path):
    client, parent, _ = trials
    rows = "number,state,min_l2,optimizer.lr,error\n3,FAIL,,0.01,too few samples\n"
    for _ in range(2):
        send(reviewed(tmp_path / "toy_lr", rows=rows), uri)
    found = sweep.trials(client, client.get_run(parent).info.experiment_id, parent)
    assert set(found) == {0, 1, 2, 3}
    assert (found[3].info.status, found[3].data.params) == ("FAILED", {"optimizer.lr": "0.01"})
    assert (found[3].data.tags["trial_state"], found[3].data.tags["error"]) == ("FAIL", "too few samples")


def test_the_front_of_several_objectives_is_tagged(trials, uri, tmp_path):
    client, parent, runs = trials
    best = [{**FACTS["best"][0], "number": n, "values": {"error_cm": 1.0, "ms": 2.0}} for n in (0, 2)]
    objectives = [{"name": name, "direction": "minimize"} for name in ("error_cm", "ms")]
    rows = "number,state,error_cm,ms\n0,COMPLETE,1,2\n1,COMPLETE,3,3\n2,COMPLETE,2,1\n"
    send(reviewed(tmp_path / "toy_lr", FACTS | {"best": best, "objectives": objectives}, rows), uri)
    assert {n for n, run_id in runs.items() if "gaze_pareto" in client.get_run(run_id).data.tags} == {0, 2}
    assert client.get_run(parent).data.tags["pareto_trial"] == "0, 2"
    assert [point.value for point in client.get_metric_history(parent, "study/ms")] == [2, 3, 1]


def test_a_deleted_parent_gets_everything_again(trials, uri, tmp_path):
    client, parent, _ = trials
    folder = reviewed(tmp_path / "toy_lr")
    send(folder, uri)
    client.delete_run(parent)
    assert send(folder, uri) == 3


def test_it_is_sent_later_where_its_trials_went(uri, tmp_path):
    folder = reviewed(tmp_path / "toy" / "toy_lr")
    (folder / "0").mkdir()
    (folder / "0" / "mlflow.json").write_text(
        json.dumps({"settings": {"experiment": "gazing", "tracking_uri": uri, "parent": "lr"}})
    )
    assert settings_of(folder)["experiment"] == "gazing"
    assert "3 new files" in resend_study(folder)
    client = connect(uri)
    found = client.search_runs([client.get_experiment_by_name("gazing").experiment_id])
    assert [run.info.run_name for run in found] == ["lr"]
    assert "0 new files" in resend_study(folder)


def test_a_store_that_is_away_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"did not take .*toy_lr.*send again"):
        resend_study(reviewed(tmp_path / "toy_lr"), f"sqlite:///{tmp_path}/file/mlflow.db")


@pytest.mark.slow
def test_a_store_that_never_answers_costs_a_sweep_flush_s(tmp_path, caplog):
    folder = reviewed(tmp_path / "toy_lr")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(4)
        logger = MLflow("toy", f"http://127.0.0.1:{deaf.getsockname()[1]}", flush_s=0.3)
        before = time.monotonic()
        logger.review(folder)
        assert time.monotonic() - before < 10.0
    (message,) = [record.getMessage() for record in caplog.records]
    assert "flush_s=0.3" in message
    assert f"python tools/report.py run={folder} send=true" in message
    assert (folder / "study" / "study.json").is_file()


@pytest.mark.slow
def test_the_process_of_its_own_sends_it(uri, tmp_path, caplog):
    folder = reviewed(tmp_path / "toy_lr")
    MLflow("toy", uri).review(folder)
    assert not caplog.records
    client = connect(uri)
    (parent,) = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    assert (parent.info.run_name, parent.info.status) == ("toy_lr", "FINISHED")


def test_notes_without_trials_and_with_hostile_names():
    empty = note(FACTS | {"best": [], "trials": {}, "importance": []}, {})
    assert "0 trials" in empty
    assert "No trial has finished" in empty
    assert word("a|b <i>*x*\n") == r"a\|b \<i\>\*x\*"
    assert code("a `b``") == "``` a `b`` ```"
