"""The command turns a public data set of faces into a table that training reads."""

from __future__ import annotations

from pathlib import Path

from gaze.faces.table import FaceTable
from tests.faces import trees
from tests.processes import run_command

TOOL = Path(__file__).parents[2] / "tools" / "prepare_directions.py"


def test_label_files_become_a_table_and_a_report(tmp_path):
    root = trees.gazehub_gaze360(tmp_path / "raw", trees.directions(6))
    (root / "Image/train/Face/3.jpg").unlink()
    done = run_command(tmp_path, TOOL, "face=gaze360", "face.root=raw", "out=table", "face_size=8", "expected_px=[8,8]")
    assert done.returncode == 1
    assert "ERROR: 1 rows can't be used: raw/Label/train.label:4: " in done.stdout
    assert "5 rows of 3 subjects (test 1, train 2, unused 1, val 1)" in done.stdout
    assert "1 findings make the table in table unfit to train on" in done.stderr
    assert "train on it" not in done.stdout
    assert "5 rows of 3 subjects" in (tmp_path / "table/report.md").read_text()
    assert len(FaceTable(str(tmp_path / "table")).index()[0]) == 5
