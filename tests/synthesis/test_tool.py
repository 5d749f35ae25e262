from pathlib import Path

import pytest

import gaze
from tests.processes import run_command

TOOL = Path(gaze.__file__).parents[1] / "tools" / "synthesize.py"


def run(*arguments, cwd):
    return run_command(cwd, TOOL, "train=3", "val=1", "test=1", "size=48", "workers=0", *arguments)


@pytest.mark.slow
def test_it_writes_once_and_leaves_only_the_data_set(tmp_path):
    first, second = run("out=scenes", cwd=tmp_path), run("out=scenes", cwd=tmp_path)
    assert "scenes: written" in first.stdout, first.stderr
    assert "nothing to do" in second.stdout, second.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["scenes"]


def test_a_bad_value_is_one_sentence(tmp_path):
    result = run("out=scenes", "difficulty=2", cwd=tmp_path)
    assert result.returncode == 1
    assert "difficulty is 2" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_world_of_clips_brings_its_own_layout(tmp_path):
    refused = run("world=video", "out=clips", cwd=tmp_path)
    assert "val is 1; expected 0" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = run("world=video", "out=clips", "val=0", cwd=tmp_path)
    assert "clips: written" in done.stdout, done.stderr
    assert len(list((tmp_path / "clips/annotations").glob("*/*/*"))) == 4
    assert len(list((tmp_path / "clips/images").rglob("*.jpg"))) == 48


@pytest.mark.slow
@pytest.mark.parametrize("world", ["screen", "screen_personal"])
def test_a_world_of_screens_is_a_table(tmp_path, world):
    few = [f"world.frames.{split}=2" for split in ("train", "val", "test")]
    done = run(f"world={world}", "out=screens", "size=32", *few, cwd=tmp_path)
    assert "screens: written" in done.stdout, done.stderr
    assert sorted(p.name for p in (tmp_path / "screens").iterdir()) == [
        "README.txt",
        "devices.yaml",
        "screens.parquet",
        "world.json",
    ]
