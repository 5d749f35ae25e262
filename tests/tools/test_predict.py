"""The command itself: its words, an end-to-end call, and how a mistake ends."""

import json
from pathlib import Path
from runpy import run_path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

import gaze
from tests.inference.lookers import write_direction_run
from tests.inference.runs import write_run
from tests.processes import run_command

TOOL = Path(gaze.__file__).parents[1] / "tools" / "predict.py"
in_hydras_words = run_path(str(TOOL))["in_hydras_words"]


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["--heads", "0.1,0.2,0.3,0.4"], "heads", "0.1,0.2,0.3,0.4"),
        (["--heads=0.1,0.2,0.3,0.4"], "heads", "0.1,0.2,0.3,0.4"),
        (["heads=0.1,0.2,0.3,0.4;5,6,7,8"], "heads", "0.1,0.2,0.3,0.4;5,6,7,8"),
        (['heads="0.1,0.2,0.3,0.4"'], "heads", "0.1,0.2,0.3,0.4"),
        (["heads=[[0.1,0.2,0.3,0.4]]"], "heads", [[0.1, 0.2, 0.3, 0.4]]),
        (["heads=null"], "heads", None),
        (["--source", "my photos (1)/it's = here.jpg"], "source", "my photos (1)/it's = here.jpg"),
        (["out=a b"], "out", "a b"),
        (["every=5"], "every", 5),
    ],
)
def test_paths_and_boxes_need_no_second_quotes(arguments, key, value):
    (word,) = in_hydras_words(arguments)
    override = OverridesParser.create().parse_override(word)
    assert override.key_or_group == key
    assert override.value() == value
    assert not override.is_sweep_override()


def call(tmp_path, *arguments):
    return run_command(tmp_path, TOOL, *arguments, "hardware=cpu")


def test_a_photograph_from_the_command_line(tmp_path):
    write_run(tmp_path / "run")
    Image.new("RGB", (60, 40), "grey").save(tmp_path / "a photo.jpg")
    done = call(tmp_path, "run=run", "--source", "a photo.jpg", "--heads", "0.1,0.2,0.5,0.6", "out=found")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "found" / "results.json").read_text())["images"][0]["image"] == "a photo.jpg"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a photo.jpg", "found", "run"]


def test_a_mistake_is_one_sentence(tmp_path):
    failed = call(tmp_path, "run=nowhere", "source=a.jpg", "--heads", "0.1,0.2,0.5,0.6")
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines() == [
        "error: nowhere holds no run: there is no config.yaml in it; give the directory of a training run"
    ]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("smooth.min_cutoff=-1", "smooth.min_cutoff=-1"),
        ("track.gap=1.5", "track.gap: 1.5 is no int"),
        ("tables=[xlsx]", "tables has 'xlsx'; expected formats out of csv, parquet"),
    ],
)
def test_settings_of_a_video_are_checked_before_the_model_is_loaded(tmp_path, override, said):
    (tmp_path / "clip.mp4").write_bytes(b"")
    failed = call(tmp_path, "run=nowhere", "source=clip.mp4", "heads=none", "out=found", override)
    assert failed.returncode == 1
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tmp_path / "found").exists()


def test_directions_alone_and_beside_a_scene_model(tmp_path):
    write_run(tmp_path / "run")
    write_direction_run(tmp_path / "directions")
    Image.new("RGB", (60, 40), "grey").save(tmp_path / "a.png")
    heads = ("source=a.png", "--heads", "0.1,0.2,0.5,0.6")
    done = call(tmp_path, "run=directions", *heads, "out=alone", "mirror=true")
    assert done.returncode == 0, done.stderr
    assert "no camera is given" in done.stdout + done.stderr
    results = json.loads((tmp_path / "alone" / "results.json").read_text())
    assert results["directions"]["frame"] == "camera"
    assert results["directions"]["camera"]["from"] == "guess"
    assert results["images"][0]["people"][0]["direction"]["cone_deg"] > 0
    done = call(tmp_path, "run=run", "direction_run=directions", *heads, "out=both")
    assert done.returncode == 0, done.stderr
    (person,) = json.loads((tmp_path / "both" / "results.json").read_text())["images"][0]["people"]
    assert {"gaze", "inout_probability", "direction", "agreement_deg"} <= set(person)
    failed = call(tmp_path, "run=directions", "direction_run=directions", *heads, "out=failed")
    assert failed.returncode == 1
    assert "run=directions is a model of gaze directions, and direction_run is given too" in failed.stderr
    assert not (tmp_path / "failed").exists()
