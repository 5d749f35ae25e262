"""The command: how mistakes end, and that paths need no second quotes."""

import re
from pathlib import Path
from runpy import run_path

import pytest

import gaze
from tests.inference.lookers import write_direction_run
from tests.processes import run_command

TOOL = Path(gaze.__file__).parents[1] / "tools" / "redirect.py"
tool = run_path(str(TOOL))


def test_paths_need_no_second_quotes():
    words = tool["in_hydras_words"](["run=a b", "source=data (1)/x.h5#3", "source='y'", "gazes=[[1,2]]", "root=null"])
    assert words == ["run='a b'", "source='data (1)/x.h5#3'", "source='y'", "gazes=[[1,2]]", "root=null"]
    assert tool["name_of"]("data/x.h5#3", "test") == "x_3"
    assert tool["name_of"]("all", "train") == "train_all"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run=nowhere", "source=0"], "error: nowhere holds no run: there is no config.yaml in it"),
        (["run=nowhere"], "error: source is missing; expected FILE.h5#ROW"),
        (
            ["run=looks", "source=0"],
            "is a LinearDirection, which reads DirectionInputs; expected a run of a model",
        ),
        (["run=looks", "source=0", "limits_deg.yaw=100"], "limits_deg: .*expected degrees between 0 and 90"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_written(tmp_path, words, said):
    write_direction_run(tmp_path / "looks")
    failed = run_command(tmp_path, TOOL, *words, "hardware=cpu", "out=made")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "made").exists()
    assert re.search(said, failed.stderr), failed.stderr
