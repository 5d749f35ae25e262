"""One delivery after another brings everything over, once."""

import json
import os
import shutil

import pytest
import yaml

from gaze.journal import Journal
from gaze.loggers.delivery import Delivery, Sent, run_name
from gaze.loggers.ledger import Ledger
from gaze.loggers.store import connect
from tests.disks import fill, small_disk
from tests.loggers.conftest import finish, history, train


def deliver(run, uri, status=None, **settings) -> tuple[Sent, str]:
    ledger = Ledger(run)
    ledger.settings = {"experiment": "toy", **settings}
    delivery = Delivery(run, ledger, uri)
    return delivery.send(status), delivery.run_id


def test_everything_arrives_and_reads_back(run, uri):
    train(run, range(0, 30, 10))
    Journal(run).write(30, {"train/loss": float("nan"), "train/norm": float("inf")})
    finish(run)
    sent, run_id = deliver(run, uri, "FINISHED", tags={"who": "me"})
    client = connect(uri)
    found = client.get_run(run_id)
    assert sent.points == 8
    assert history(client, run_id) == [0, 10, 20, 30]
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "11-21 10:00:00"  # which its directory is called, with a year before it
    assert found.data.params["model.widths"] == "[8, 16]"
    assert "dir" not in found.data.params  # `directory` is a tag
    assert found.data.params["target.trainer"] == "gaze.trainer.Trainer"
    assert found.data.params["model.api_token"] == "<masked>"
    assert found.data.tags["mlflow.source.git.commit"] == "abc"
    assert found.data.tags["git.dirty"] == "true"
    assert found.data.tags["packages.torch"] == "2.14"
    assert found.data.tags["who"] == "me"
    names = {item.path for folder in (None, "best", "pictures/val") for item in client.list_artifacts(run_id, folder)}
    expected = {
        "config.yaml",
        "overrides.yaml",
        "environment.json",
        "train.log",
        "best/MLmodel",
        "pictures/val/epoch_1.png",
    }
    assert expected <= names
    assert "mlflow.json" not in names


@pytest.mark.fault("X5")
def test_the_model_carries_its_signature_and_no_secret_leaves(run, uri, tmp_path):
    from mlflow.artifacts import download_artifacts
    from mlflow.models import Model

    finish(run)
    _, run_id = deliver(run, uri, "FINISHED")
    local = download_artifacts(run_id=run_id, tracking_uri=uri, dst_path=str(tmp_path / "back"))
    signature = Model.load(f"{local}/best").signature
    assert [(f.name, f.shape, f.type.name) for f in signature.inputs] == [("image", (-1, 3, 64, 64), "float32")]
    assert [(f.name, f.shape) for f in signature.outputs] == [("heatmap", (-1, 16, 16))]
    assert not any(b"sekrit" in file.read_bytes() for file in (tmp_path / "back").rglob("*") if file.is_file())
    history = json.loads(connect(uri).get_run(run_id).data.tags["mlflow.log-model.history"])
    assert history[0]["artifact_path"] == "best"


def test_a_second_delivery_sends_only_what_is_new(run, uri):
    train(run, [0, 10])
    finish(run)
    _, first = deliver(run, uri, "KILLED")
    train(run, [20])
    (run / "pictures" / "val" / "epoch_2.png").write_bytes(b"png")
    sent, second = deliver(run, uri, "FINISHED")
    assert second == first
    assert sent == Sent(points=2, files=1)
    assert deliver(run, uri, "FINISHED")[0] == Sent(0, 0)
    assert history(connect(uri), first) == [0, 10, 20]


def test_a_rewound_journal_repeats_nothing(run, uri):
    train(run, [0, 10, 20, 30])
    _, run_id = deliver(run, uri)
    Journal(run).rewind(10)
    train(run, [20, 30, 40])
    deliver(run, uri, "FINISHED")
    assert history(connect(uri), run_id) == [0, 10, 20, 30, 40]


def test_a_journal_rewound_between_deliveries_of_one_process(run, uri):
    ledger = Ledger(run)
    ledger.settings = {"experiment": "toy"}
    delivery = Delivery(run, ledger, uri)
    train(run, [0, 10, 20])
    delivery.send()
    Journal(run).rewind(0)
    train(run, [10, 20, 30, 40, 50])
    delivery.send()
    assert history(connect(uri), delivery.run_id) == [0, 10, 20, 30, 40, 50]


@pytest.mark.fault("T1")
def test_a_full_disk_under_the_store_loses_nothing(run, tables, tmp_path):
    with small_disk(tmp_path / "disk", size="8m", files=100) as disk:
        shutil.copy(tables, disk / "mlflow.db")
        uri = f"sqlite:///{disk}/mlflow.db"
        train(run, [0, 10])
        _, run_id = deliver(run, uri)
        filler = fill(disk, leave=0)
        train(run, range(20, 6000, 10))
        with pytest.raises(Exception, match="full"):
            deliver(run, uri, "FINISHED")
        filler.unlink()
        assert deliver(run, uri, "FINISHED")[1] == run_id
        assert history(connect(uri), run_id) == list(range(0, 6000, 10))


@pytest.mark.fault("T1")
def test_an_interrupted_batch_is_not_doubled(run, uri, monkeypatch):
    train(run, [0, 10])
    ledger = Ledger(run)
    ledger.settings = {"experiment": "toy"}
    delivery = Delivery(run, ledger, uri)
    monkeypatch.setattr(delivery.cursor, "advance", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
    with pytest.raises(OSError, match="killed"):
        delivery.send()
    sent, run_id = deliver(run, uri, "FINISHED")
    client = connect(uri)
    assert sent.points == 4  # sent again, and dropped by the store
    assert history(client, run_id) == [0, 10]
    assert len(client.search_runs([client.get_run(run_id).info.experiment_id])) == 1


def test_a_lost_run_id_finds_the_same_run(run, uri):
    _, run_id = deliver(run, uri)
    ledger = Ledger(run)
    next(iter(ledger.cursors.values())).run_id = None  # the answer to create_run never came
    ledger.save()
    assert deliver(run, uri)[1] == run_id


def test_a_deleted_run_is_sent_anew(run, uri):
    train(run, [0, 10])
    _, first = deliver(run, uri, "FINISHED")
    client = connect(uri)
    client.delete_run(first)
    _, second = deliver(run, uri, "FINISHED")
    assert second != first
    assert history(client, second) == [0, 10]


def test_a_changed_parameter_is_noted(run, uri):
    _, run_id = deliver(run, uri)
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("seed: 3", "seed: 4\nnew: 1"))
    deliver(run, uri)
    found = connect(uri).get_run(run_id).data
    assert (found.params["seed"], found.tags["resumed.seed"], found.params["new"]) == ("3", "4", "1")


def test_trials_stand_under_one_parent_with_their_best(run, uri):
    trials = []
    for number in range(2):
        trial = run.parent / "sweep" / str(number)
        shutil.copytree(run, trial)
        train(trial, [0, 10 * (number + 1)])
        trials.append(deliver(trial, uri, "FINISHED", parent="lr")[1])
    client = connect(uri)
    parents = {client.get_run(trial).data.tags["mlflow.parentRunId"] for trial in trials}
    assert len(parents) == 1
    parent = client.get_run(parents.pop())
    points = client.get_metric_history(parent.info.run_id, "val/best_min_l2")
    assert [(point.step, round(point.value, 3)) for point in points] == [(0, 0.091), (1, 0.048)]
    assert client.get_run(trials[1]).info.run_name == "sweep/1"
    assert "best_trial" not in parent.data.tags  # nobody searched


def test_trials_of_a_search_have_its_numbers_and_the_best_is_tagged_at_once(run, uri):
    trials = {}
    for number, last in ((7, 20), (3, 30), (5, 10)):
        trial = run.parent / "sweep" / str(number)
        shutil.copytree(run, trial)
        config = yaml.safe_load((trial / "config.yaml").read_text()) | {"trial": {"number": number}}
        (trial / "config.yaml").write_text(yaml.safe_dump(config))
        train(trial, [0, last])
        trials[number] = deliver(trial, uri, "FINISHED", parent="lr")[1]
    client = connect(uri)
    tags = {number: client.get_run(run_id).data.tags for number, run_id in trials.items()}
    assert {number: (own["trial"], own.get("gaze_best")) for number, own in tags.items()} == {
        7: ("7", None),  # it was until the next one ended
        3: ("3", "true"),
        5: ("5", None),
    }
    parent = client.get_run(tags[3]["mlflow.parentRunId"])
    assert (parent.data.tags["best_trial"], parent.data.tags["best_run_id"]) == ("3", trials[3])
    assert sorted(point.step for point in client.get_metric_history(parent.info.run_id, "val/best_min_l2")) == [3, 5, 7]


def test_who_did_not_come_to_an_end_is_not_the_best(run, uri):
    for number, status in enumerate(("FINISHED", "FAILED", "KILLED", "FINISHED")):
        trial = run.parent / "sweep" / str(number)
        shutil.copytree(run, trial)
        config = yaml.safe_load((trial / "config.yaml").read_text()) | {"trial": {"number": number}}
        (trial / "config.yaml").write_text(yaml.safe_dump(config))
        train(trial, [0, 10 * (number + 1)])
        if number == 3:
            Journal(trial).write(50, {"val/pruned": 1.0})
        run_id = deliver(trial, uri, status, parent="lr")[1]
    client = connect(uri)
    parent = client.get_run(client.get_run(run_id).data.tags["mlflow.parentRunId"])
    assert parent.data.tags["best_trial"] == "0"


def test_a_picture_that_is_being_written_waits(run, uri):
    finish(run)
    picture = run / "pictures" / "val" / "epoch_1.png"
    deliver(run, uri)
    assert "pictures/val/epoch_1.png" not in next(iter(Ledger(run).cursors.values())).files
    os.utime(picture, (1e9, 1e9))
    assert deliver(run, uri)[0].files == 1


def test_a_foreign_ledger_is_named(run):
    (run / "mlflow.json").write_text("[]")
    with pytest.raises(ValueError, match=r"mlflow\.json.*delete it"):
        Ledger(run)


def test_run_names(tmp_path):
    assert run_name(tmp_path / "sweep" / "3") == "sweep/3"
    assert run_name(tmp_path / "toy" / "a_run") == "a_run"
    assert run_name(tmp_path / "toy" / "2026-11-22_01-31-28-349819") == "11-22 01:31:28"
