"""The command: from the predictions of an evaluation alone."""

from pathlib import Path

import pyarrow.csv

import gaze
from gaze.calibration.calibration import read_calibration
from gaze.screens.table import prediction_table, write_csv
from tests.processes import run_command
from tests.screens.labels import labels, rows

TOOL = Path(gaze.__file__).parents[1] / "tools" / "calibrate.py"


def test_everybody_in_a_table_of_predictions_is_calibrated(tmp_path):
    truth = labels()
    write_csv(prediction_table(rows(truth, truth.point + 1.0), truth), tmp_path / "predictions.csv")
    done = run_command(tmp_path, TOOL, "predictions=predictions.csv", "draws=2", "points=[1]")
    assert done.returncode == 0, done.stderr
    assert "held-out dots" in done.stdout
    assert {file.name for file in (tmp_path / "calibration" / "people").iterdir()} == {"a.json", "b.json", "c.json"}
    made = read_calibration(tmp_path / "calibration" / "people" / "a.json")
    assert (made.method, made.dots, made.about["subject"]) == ("offset_shrunk", 2, "a")
    curve = pyarrow.csv.read_csv(tmp_path / "calibration" / "calibration_curve.csv").to_pylist()
    plain = {row["method"]: row["error_cm"] for row in curve}
    assert plain["offset"] < 1e-6 < plain["offset_shrunk"] < plain["none"]


def test_mistakes_are_named(tmp_path):
    done = run_command(tmp_path, TOOL)
    assert done.returncode == 1
    assert "neither run nor predictions is given" in done.stderr
