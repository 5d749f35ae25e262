"""The command ends with 1 where labels contradict, and leaves a report and a picture."""

import json
from pathlib import Path

import gaze
from gaze.gaze_frames import CAMERA
from tests.audit.faces import write
from tests.processes import run_command

TOOL = Path(gaze.__file__).parents[1] / "tools" / "audit_labels.py"


def test_a_folder_is_judged_and_drawn(tmp_path):
    write(tmp_path / "wrong", "Face Origin 3DGaze 2DGaze", vector=CAMERA)
    done = run_command(tmp_path, TOOL, "folder=wrong", "kind=gaze360", "faces=2")
    assert done.returncode == 1, done.stderr
    assert "vectors are (x, y, z)" in done.stdout
    assert "1 of 7 checks contradict" in done.stdout
    (report,) = json.loads((tmp_path / "outputs" / "audit" / "wrong" / "audit.json").read_text())["audits"]
    assert report["contradicted"]
    assert (tmp_path / "outputs" / "audit" / "wrong" / "arrows_gaze360.png").stat().st_size > 1000
