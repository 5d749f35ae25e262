"""The demonstration, at a size of seconds: the same commands, files and verdict."""

import json
from pathlib import Path

import pytest

from tests.processes import run_command

DEMO = Path(__file__).parents[1] / "stubs" / "demo.py"  # which runs tools/demo.py
TOY = ["backbone.stem=[4,4,8]", "backbone.width=8", "backbone.heads=1", "head.width=8", "head.layers=1", "head.heads=1"]


@pytest.mark.slow
def test_the_demo_leaves_its_pictures_numbers_and_run_and_judges_itself(tmp_path):
    world = ["--world", "train=32", "val=4", "test=12", "workers=0"]
    train = ["--train", "trainer.epochs=1", "trainer.batch_size=16", "logger=none", "hardware.workers=0", *TOY]
    done = run_command(tmp_path, DEMO, "--out", "demo", *world, *train)
    tmp_path /= "demo"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert set(summary["figures"]) == {"gazelle_small", "centre prior", "train-set mean heatmap", "head position only"}
    for row in summary["figures"].values():
        assert set(row) == {"auc", "avg_l2", "min_l2"}
        assert 0 <= row["min_l2"] <= row["avg_l2"] < 1.5
    assert summary["data"] == "synthetic"
    assert (tmp_path / "predictions.png").stat().st_size > 10_000
    assert (Path(summary["run"]) / "best").is_dir()
    # Nothing is learnt in two steps, and the demo says so instead of pretending.
    assert summary["min_l2_reduction"] < 0.4
    assert done.returncode == 1
    assert "at least 40 % closer" in done.stderr
    assert "train-set mean heatmap" in done.stdout
    assert "what it sees" in done.stdout
    assert "than the best baseline's" in done.stdout
