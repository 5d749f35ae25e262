"""The command: one table for a run on its own data, and on another data set at the run's own picture size."""

import json
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

import gaze
from gaze.datasets.image import read_image
from tests.datasets.folders import write_gazefollow_folder
from tests.inference.runs import write_run
from tests.processes import run_command

TOOL = Path(gaze.__file__).parents[1] / "tools" / "evaluate.py"
DATASET = {"_target_": "gaze.datasets.gazefollow.GazeFollow", "_partial_": True, "image_size": [32, 48]}
METRIC = {"heatmap_distance": {"_target_": "gaze.metrics.heatmap_distance.HeatmapDistance"}}
ROWS = {"tiny", "centre prior", "train-set mean heatmap", "head position only"}


def call(folder, *arguments):
    return run_command(folder, TOOL, *arguments, "hardware=cpu", "hardware.workers=0", f"data_root={folder}")


@pytest.fixture
def folder(tmp_path):
    """A run of a model whose pictures are 32 x 48 px, and two data sets."""
    write_gazefollow_folder(tmp_path / "own", images=4)
    write_gazefollow_folder(tmp_path / "gazefollow", images=4, seed=1)
    run = write_run(tmp_path / "run")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config |= {"dataset": DATASET | {"root": str(tmp_path / "own")}, "metric": METRIC}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def test_a_run_is_compared_on_its_own_data_and_on_another_set_at_its_own_size(folder):
    done = call(folder, "run=run")
    assert done.returncode == 0, done.stderr
    own = json.loads((folder / "run" / "evaluation_test.json").read_text())
    assert set(own["figures"]) == ROWS
    assert "head position only" in done.stdout
    figures = {f"{figure}{decoding}" for figure in ("avg_l2", "min_l2") for decoding in ("", "_centre", "_dark")}
    assert all(set(row) == figures and row["min_l2"] < 1.5 for row in own["figures"].values())

    low, high = own["intervals"]["tiny"]["min_l2"]
    assert low <= own["figures"]["tiny"]["min_l2"] <= high
    assert f"{own['figures']['tiny']['min_l2']:.4f} [{low:.4f}, {high:.4f}]" in done.stdout
    assert set(own["subsets"]) == ROWS
    assert set(own["subsets"]["tiny"]) == {"head_size", "distance", "inout"}
    assert sum(part["heads"] for part in own["subsets"]["tiny"]["head_size"].values()) == 4
    assert "medium" in done.stdout
    heads = pq.read_table(folder / "run" / "heads_test.parquet")
    assert heads.num_rows == 4 * len(ROWS)
    ours = heads.filter(pc.equal(heads["model"], "tiny"))
    assert pc.mean(ours["min_l2"]).as_py() == pytest.approx(own["figures"]["tiny"]["min_l2"], abs=1e-12)
    assert read_image(folder / "run" / "failures_test.png").shape[0] == 3

    done = call(
        folder,
        "run=run",
        "dataset=gazefollow",
        "split=train",
        "baselines=false",
        "metric=[heatmap_auc]",
        "resamples=0",
        "subsets=[inout]",
        "out=elsewhere.json",
    )
    assert done.returncode == 0, done.stderr
    other = json.loads((folder / "elsewhere.json").read_text())
    assert other["dataset"]["image_size"] == [32, 48]
    assert set(other["figures"]) == {"tiny"}
    assert 0 <= other["figures"]["tiny"]["auc"] <= 1
    assert other["intervals"] == {"tiny": {}}
    assert set(other["subsets"]["tiny"]) == {"inout"}
    assert (folder / "heads_elsewhere.parquet").exists()
    assert not (folder / "failures_elsewhere.png").exists()  # the AUC ranks no failures
    assert json.loads((folder / "run" / "evaluation_test.json").read_text()) == own


def test_mistakes_are_sentences(folder):
    assert "split 'tset'" in call(folder, "run=run", "split=tset").stderr
    assert "multiples of the stride 4" in call(folder, "run=run", "image_size=[30,30]").stderr
