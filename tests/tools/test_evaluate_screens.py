"""The command for models of the point of gaze: recordings elsewhere, facts that stay, figures made again."""

from pathlib import Path

import pyarrow.csv
import pytest
import torch
import yaml
from omegaconf import OmegaConf

import gaze
from gaze.checkpoints import Checkpoints
from gaze.runs import build, plain_config, without_weights
from tests.models import screens
from tests.processes import run_command
from tests.recordings.own_folders import COLUMNS, strip

TOOL = Path(gaze.__file__).parents[1] / "tools" / "evaluate.py"


def call(folder, *arguments):
    return run_command(folder, TOOL, *arguments, "hardware=cpu", "hardware.workers=0", "resamples=20")


@pytest.fixture
def run(tmp_path):
    """A run of a network of eyes, trained on recordings that have gone since, whose labels are in half windows."""
    config = plain_config(screens.composed("pog_tiny", "dataset=folder_csv", "dataset.eye_size=40", "fusion.boxes=[]"))
    del config["model"]["trunks"]["face"]
    config["dataset"] |= {"hold_out": "p03", "streams": ["left_eye", "right_eye"]}
    config["dataset"]["recording"] |= {"root": "gone", "columns": COLUMNS}
    kept = {name: config[name] for name in ("name", "model", "dataset", "metric")}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(kept))
    torch.manual_seed(0)
    model = build(OmegaConf.create(without_weights(kept["model"])))
    Checkpoints(tmp_path / "run" / "best").save(0, model, {"step": 0})
    return tmp_path / "run"


def test_recordings_elsewhere_with_nobody_to_learn_from_and_the_same_again_from_the_file(run):
    folder = run.parent
    strip(folder / "elsewhere", people=["p03"], frames=4)
    done = call(folder, "run=run", "root=elsewhere")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("baselines are left out")]
    assert len(told) == 1
    assert "split 'train' of elsewhere/index.csv holds no frame" in told[0]
    found = run / "evaluation_test"
    rows = pyarrow.csv.read_csv(found / "summary.csv").to_pylist()
    assert {row["points"] for row in rows} == {"pred"}
    assert {(row["split"], row["model"], row["dataset"]) for row in rows} == {("test", "pog_tiny", "its own")}
    assert {row["n"] for row in rows if row["metric"] == "error_half_windows"} == {4}
    assert "error_half_windows" in done.stdout

    first = {file.name: file.read_bytes() for file in found.iterdir()}
    done = call(folder, "predictions=run/evaluation_test/predictions.csv")
    assert done.returncode == 0, done.stderr
    assert {file.name: file.read_bytes() for file in found.iterdir()} == first
