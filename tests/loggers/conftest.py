"""A run directory without a trainer, and a database whose tables are made once per session."""

import json
import shutil

import pytest
import yaml

from gaze.journal import Journal
from gaze.loggers.store import connect
from tests.databases import read_migrations_once
from tests.made_once import made_once

read_migrations_once()

CONFIG = {
    "name": "toy",
    "dir": "outputs/toy/2026-11-21_10-00-00",
    "seed": 3,
    "trainer": {"_target_": "gaze.trainer.Trainer", "_partial_": True, "monitor": "min_l2", "mode": "minimize"},
    "model": {"_target_": "gaze.models.Toy", "widths": [8, 16], "api_token": "sekrit", "patch_tokens": 256},
    "loss": {"heatmap@x": {"weight": 1.0}},
}
SIGNATURE = {
    "inputs": [{"name": "image", "dtype": "float32", "shape": [-1, 3, 64, 64]}],
    "outputs": [{"name": "heatmap", "dtype": "bfloat16", "shape": [-1, 16, 16]}],
}


@pytest.fixture
def run(tmp_path):
    """A run directory as it is when training starts."""
    directory = tmp_path / "toy" / "2026-11-21_10-00-00"
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    (directory / "overrides.yaml").write_text(yaml.safe_dump(["model=toy", "model.api_token=sekrit"]))
    environment = {
        "command": "gaze-train model=toy",
        "git": {"commit": "abc", "dirty": True},
        "packages": {"torch": "2.14"},
    }
    (directory / "environment.json").write_text(json.dumps(environment))
    return directory


def finish(directory):
    """What is in a run directory when training ends."""
    (directory / "signature.json").write_text(json.dumps(SIGNATURE))
    (directory / "train.log").write_text("done\n")
    (directory / "pictures" / "val").mkdir(parents=True, exist_ok=True)
    (directory / "pictures" / "val" / "epoch_1.png").write_bytes(b"png")
    (directory / "best" / "step-00000010").mkdir(parents=True, exist_ok=True)
    (directory / "best" / "step-00000010" / "model.safetensors").write_bytes(b"weights")


def train(directory, steps):
    """Figures for these steps: the loss is the step."""
    journal = Journal(directory)
    for step in steps:
        journal.write(step, {"train/loss": float(step), "val/min_l2": 1.0 / (step + 1)})


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """An empty database with MLflow's tables; making them takes seconds."""

    def make(folder):
        connect(f"sqlite:///{folder}/mlflow.db")
        return folder / "mlflow.db"

    return made_once(tmp_path_factory, "tables", make)


@pytest.fixture
def uri(tables, tmp_path):
    """An embedded store of this test's own."""
    (tmp_path / "outputs").mkdir()
    shutil.copy(tables, tmp_path / "outputs" / "mlflow.db")
    return f"sqlite:///{tmp_path}/outputs/mlflow.db"


def history(client, run_id, key="train/loss"):
    """The steps of a metric, in the order of arrival."""
    return [point.step for point in client.get_metric_history(run_id, key)]
