"""The command: a run becomes a file, which the prediction takes in its place."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

import gaze
from tests.datasets.screen_views import table
from tests.export.runs import write_run
from tests.export.screen_runs import write_screen_run
from tests.processes import run_command

TOOLS = Path(gaze.__file__).parents[1] / "tools"
EXPORT = Path(__file__).parents[1] / "stubs" / "export.py"  # which runs tools/export.py


def call(folder, tool, *arguments):
    return run_command(folder, TOOLS / tool, *arguments)


def gazes(folder, run, *more):
    arguments = (f"run={run}", "source=a.png", "--heads", "0.1,0.2,0.5,0.6;0.5,0.1,0.9,0.5", f"out={run}_found")
    done = call(folder, "predict.py", *arguments, "hardware=cpu", *more)
    assert done.returncode == 0, done.stderr
    (image,) = json.loads((folder / f"{run}_found" / "results.json").read_text())["images"]
    return [value for person in image["people"] for value in person["gaze"]]


def test_a_run_becomes_a_file_that_predicts_the_same_points(tmp_path):
    write_run(tmp_path / "run")
    Image.effect_noise((60, 40), 80).convert("RGB").save(tmp_path / "a.png")
    done = call(tmp_path, EXPORT, "run=run", "out=made.onnx", "size=[32,48]")
    assert done.returncode == 0, done.stderr
    assert "largest difference from PyTorch: " in done.stdout
    assert "1 image, 4 people, 1 CPU thread: " in done.stdout
    assert done.stderr == ""
    wanted, found = gazes(tmp_path, "run"), gazes(tmp_path, "made.onnx")
    assert len(wanted) == 4
    assert max(abs(a - b) for a, b in zip(wanted, found, strict=True)) <= 1.01e-5  # the last of five digits


def test_a_model_of_the_point_of_gaze_and_its_file_predict_the_same(tmp_path):
    write_screen_run(tmp_path / "run")
    table(tmp_path, {"dan": 3})
    done = call(tmp_path, EXPORT, "run=run", "format=pt2")
    assert done.returncode == 0, done.stderr
    assert "largest difference from PyTorch: " in done.stdout
    assert "its card is toy.pt2.json" in done.stdout
    found = []
    for model in ("run", "run/toy.pt2"):
        out = model.replace("/", "_")
        done = call(
            tmp_path, "predict.py", f"run={model}", "source=table.parquet", f"out={out}", "trust=true", "hardware=cpu"
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == f"{out}/predictions.csv"
        with (tmp_path / out / "predictions.csv").open() as file:
            found.append([(float(row["x_cm"]), float(row["x_px"])) for row in csv.DictReader(file)])
    assert len(found[0]) == 3
    assert np.abs(np.subtract(*found)).max() <= 0.11  # the last of the digits that are written


def test_mistakes_are_found_first(tmp_path):
    done = call(tmp_path, "export.py", "run=nowhere", "opset=new", "size=[32,big]")
    assert done.returncode == 1
    assert "  opset: 'new' is no int" in done.stderr
    assert "  size: [32, 'big'] is no list[int] | int" in done.stderr
    assert call(tmp_path, "export.py", "run=nowhere").stderr.strip() == (
        "error: nowhere holds no run: there is no config.yaml in it; give the directory of a training run"
    )
