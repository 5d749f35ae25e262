"""The command: from the predictions of an evaluation alone, and from a run and its data."""

from pathlib import Path

import pyarrow.csv
import pytest
import torch
import yaml
from omegaconf import OmegaConf

import gaze
from gaze.calibration.calibration import read_calibration
from gaze.checkpoints import Checkpoints
from gaze.hardware import Hardware
from gaze.inference.opening import open_screen_predictor
from gaze.runs import build
from gaze.screens.table import points_in, prediction_table, read_predictions, write_csv
from gaze.synthesis.screen_world import ScreenWorld
from gaze.synthesis.screens import write_screens
from gaze.types import collate
from tests.made_once import made_once
from tests.processes import run_command
from tests.screens.labels import labels, rows

TOOL = Path(gaze.__file__).parents[1] / "tools" / "calibrate.py"
TRUNK = {"_target_": "gaze.backbones.conv_tower.ConvTower", "widths": [4], "kernels": [5], "strides": [4]}
MODEL = {
    "_target_": "gaze.models.screen.ScreenModel",
    "trunks": {"eyes": TRUNK},
    "fusion": {"_target_": "gaze.fusions.pooled.Pooled", "_partial_": True, "boxes": [8]},
    "output": {"_target_": "gaze.heads.point.PointHead", "_partial_": True, "hidden": [8]},
}
STREAMS = ["left_eye", "right_eye", "geometry"]


def call(folder, *arguments):
    return run_command(folder, TOOL, *arguments, "hardware=cpu", "hardware.workers=0", "resamples=0")


def test_everybody_in_a_table_of_predictions_is_calibrated(tmp_path):
    truth = labels()
    write_csv(prediction_table(rows(truth, truth.point + 1.0), truth), tmp_path / "predictions.csv")
    done = call(tmp_path, "predictions=predictions.csv", "draws=1", "points=[1]")
    assert done.returncode == 0, done.stderr
    assert "held-out dots" in done.stdout
    out = tmp_path / "calibration"
    assert {file.name for file in (out / "people").iterdir()} == {"a.json", "b.json", "c.json"}
    made = read_calibration(out / "people" / "a.json")
    assert (made.method, made.dots, made.about) == ("offset_shrunk", 2, {"subject": "a"})
    curve = pyarrow.csv.read_csv(out / "calibration_curve.csv").to_pylist()
    plain = {row["method"]: row["error_cm"] for row in curve}
    assert plain["offset"] < 1e-6 < plain["offset_shrunk"] < plain["none"]
    table = read_predictions(out / "predictions.csv")
    assert points_in(table) == ["pred", "calibrated"]
    assert len(table) == len(truth)  # each dot was left out once, and calibrated by the other one alone
    after, before = (torch.tensor(table[f"{name}_x"].to_pylist()) for name in ("calibrated", "pred"))
    torch.testing.assert_close(after - before, torch.full((12,), -1 / 3))
    summary = pyarrow.csv.read_csv(out / "summary.csv").to_pylist()
    errors = {row["points"]: row["value"] for row in summary if row["metric"] == "error_cm"}
    assert errors["calibrated"] == pytest.approx(errors["pred"] * 2 / 3)
    assert (out / "before_after.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_are_named(tmp_path):
    done = call(tmp_path)
    assert done.returncode == 1
    assert "neither run nor predictions is given" in done.stderr
    truth = labels()
    bad = truth.point.clone()
    bad[5] = torch.nan
    write_csv(prediction_table(rows(truth, bad), truth), tmp_path / "predictions.csv")
    done = call(tmp_path, "predictions=predictions.csv", "draws=0")
    assert "b: 1 of 4 frames have a prediction that is NaN or infinite; leave out" in done.stderr
    done = call(tmp_path, "predictions=predictions.csv", "draws=0", "people=[a,dora]")
    assert "there is nobody called 'dora'; the split has a, b, c" in done.stderr


@pytest.fixture
def folder(tmp_path, tmp_path_factory):
    """A run that was trained on data that are somewhere else now: two users look at eight dots, four of them marked."""
    world = ScreenWorld(face_size=16, eye_size=16, frames={"train": 4, "val": 1, "test": 8}, session=4, closed=0.0)
    counts = {"train": 2, "val": 1, "test": 2}

    def make(place):
        write_screens(world, place / "screens", counts)
        return place / "screens"

    (tmp_path / "screens").symlink_to(made_once(tmp_path_factory, "screens_to_calibrate", make))
    dataset = {"_target_": "gaze.datasets.screen.ScreenDataset", "_partial_": True, "path": "moved_away"}
    dataset |= {"streams": STREAMS, "face_size": 16, "eye_size": 16}
    torch.manual_seed(0)
    Checkpoints(tmp_path / "run" / "best").save(0, build(OmegaConf.create(MODEL)), {"step": 0})
    config = {"name": "tiny", "model": MODEL, "dataset": dataset}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_a_run_is_calibrated_for_people_whose_frames_are_elsewhere(folder):
    chosen = "calibrator=[finetune_head,offset_shrunk]"
    done = call(folder, "run=run", "data=screens", chosen, "method=finetune_head", "draws=1", "points=[1,2]")
    assert done.returncode == 0, done.stderr
    out = folder / "run" / "calibration"
    table = read_predictions(out / "predictions.csv")
    assert points_in(table) == ["pred", "train_mean", "screen_centre", "linear_on_boxes", "calibrated"]
    assert len(table) == 8  # the marked ones are what was calibrated with
    names = sorted(set(table["subject"].to_pylist()))
    assert {file.name for file in (out / "people").iterdir()} == {
        f"{n}.{k}" for n in names for k in ("json", "safetensors")
    }
    curve = pyarrow.csv.read_csv(out / "calibration_curve.csv").to_pylist()
    assert {row["method"] for row in curve} == {"none", "finetune_head", "offset_shrunk", "chosen"}

    file = out / "people" / f"{names[1]}.json"
    predictor = open_screen_predictor(folder / "run", Hardware(device="cpu", workers=0), calibration=str(file))
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    data = build(OmegaConf.create(config["dataset"]))(path=str(folder / "screens"), split="test")
    sample = table.slice(6, 1).to_pylist()[0]
    found, _ = predictor(collate([data[data.labels.sample_id.index(sample["sample_id"])].inputs]))
    torch.testing.assert_close(found.point[0], torch.tensor([sample["calibrated_x"], sample["calibrated_y"]]))
    assert (sample["calibrated_x"], sample["calibrated_y"]) != (sample["pred_x"], sample["pred_y"])
