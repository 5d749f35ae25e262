"""Directions of gaze are learned, end to end: rendered people on disk, GazeFormer whole, people who were never seen."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from gaze.synthesis.direction_world import DirectionWorld
from gaze.synthesis.directions import write_directions
from tests.processes import run_command

EVALUATE = Path(__file__).parents[2] / "tools" / "evaluate.py"
FLIPS = "dataset.augmentations=[{_target_: gaze.datasets.face_augment.Flip, probability: 0.5}]"


@pytest.mark.slow
def test_it_sees_which_way_strangers_look_and_evaluation_says_how_far_to_trust_it(tmp_path):
    """Nobody's head says more than 12 degrees: what is better must see eyes. The mean direction is about 20 off."""
    world = DirectionWorld(size=32, eyes=False, frames={"train": 40, "val": 10, "test": 10})
    write_directions(world, tmp_path / "data" / "faces", {"train": 60, "val": 8, "test": 12})
    words = ["model=gazeformer_tiny", "dir=run", "hardware=cpu", "hardware.workers=0", "logger=none", FLIPS]
    words += [
        "dataset.face_size=32",
        "trainer.epochs=5",
        "optimizer.optimizer.lr=4.0e-3",
        "schedule.lr.warmup_steps=30",
    ]
    done = run_command(tmp_path, "gaze.train", *words)
    assert done.returncode == 0, done.stderr
    assert "the vectors only tell texts apart and carry no meaning" in done.stderr + done.stdout

    asked = ["run=run", "hardware=cpu", "hardware.workers=0", "resamples=50"]
    done = run_command(tmp_path, EVALUATE, *asked)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "run" / "evaluation_test"
    rows = csv.DictReader((folder / "summary.csv").open())
    found = {(row["directions"], row["metric"]): float(row["value"]) for row in rows}
    assert found["pred", "error_deg"] < 0.5 * found["train_mean", "error_deg"], found
    assert found["pred", "error_deg"] < 0.7 * found["ridge", "error_deg"], found
    assert 0.4 < found["pred", "coverage_68"] < 0.9, found
    made = {file.name for file in folder.iterdir()}
    assert {"predictions.parquet", "per_subject.csv", "calibration.png", "errors.png", "routers.csv"} <= made

    origin = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert origin["data"]["train"]["samples"] == 2400
    assert re.fullmatch("[0-9a-f]{64}", origin["model.steering.prompts"]["prompts_sha256"])
    journal = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert "router/" in journal
    assert (tmp_path / "run" / "pictures" / "epoch_004.png").is_file()
