"""The command turns a public data set into a table, goes on where it stopped, and says in one sentence what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gaze.recordings.reading import read_columns
from tests.processes import run_command
from tests.recordings.gazecapture_folders import write_recording

TOOL = Path(__file__).parents[2] / "tools" / "prepare_pog.py"
SMALL = ("pictures.face_size=32", "pictures.eye_size=16", "workers=0")


def prepare(root, *overrides):
    return run_command(root, TOOL, "recording=gazecapture", "recording.root=raw", "out=table", *SMALL, *overrides)


def test_gazecapture_becomes_a_table_and_a_report(tmp_path):
    write_recording(tmp_path / "raw", "00002", orientations=(1, 3))
    write_recording(tmp_path / "raw", "00003", split="test")
    done = prepare(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 rows, 3 of them valid; 0 left out" in done.stdout
    table = read_columns(tmp_path / "table", ["split", "device"], [("split", "==", "train")])
    assert table["device"].to_pylist() == ["iphone_6", "iphone_6"]
    before = (tmp_path / "table/00002.parquet").stat().st_mtime_ns
    write_recording(tmp_path / "raw", "00004", screen="{")
    done = prepare(tmp_path, "lag_reach=0")  # changes no row
    assert "1 recordings can't be read, and the same command tries them again" in done.stderr
    assert "unreadable: recording 00004: raw/00004/screen.json is not JSON" in done.stdout
    assert "screen.json" in json.loads((tmp_path / "table/report.json").read_text())["failed"]["00004"]
    assert (tmp_path / "table/00002.parquet").stat().st_mtime_ns == before
    done = prepare(tmp_path, "pictures.quality=80")
    assert done.returncode == 1
    assert "prepared with other settings: pictures.quality was 95 and is now 80" in done.stderr


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("recording.min_dot_time_s=soon",), "recording.min_dot_time_s"),
        (("++landmarker={_target_: os.system}",), "landmarker._target_: 'os.system' is not trusted"),
        (("manifest=nowhere.json",), "nowhere.json can't be read"),
        (("+invalide=drop",), "invalide: make_table has no argument 'invalide'; did you mean 'invalid'?"),
        (("lag_reach=far",), "lag_reach: 'far' is no int"),
        (("landmarks=mediapipe", "landmarker.model=none.task"), "there is no landmarker.model none.task; download it"),
        (("invalid=perhaps",), "invalid is 'perhaps'; expected raise, drop, keep"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(tmp_path, overrides, expected):
    write_recording(tmp_path / "raw")
    done = prepare(tmp_path, *overrides)
    assert done.returncode == 1
    assert expected in done.stderr
    assert not (tmp_path / "table").exists()


def test_a_person_in_two_splits_is_an_error_that_the_report_names(tmp_path):
    for name, split in (("00002", "train"), ("00003", "test")):
        write_recording(tmp_path / "raw", name, split=split)
    (tmp_path / "subjects.json").write_text(json.dumps({"00002": "eve", "00003": "eve"}))
    done = prepare(tmp_path, "recording.subjects=subjects.json")
    assert done.returncode == 1
    assert "eve in test and train" in done.stdout
    assert "should not be trained on as it is" in done.stderr


def test_own_devices_are_given_once_for_reader_and_table(tmp_path):
    write_recording(tmp_path / "raw", device="Nokia 3310")
    done = prepare(tmp_path)
    assert done.returncode == 1
    assert "the device 'Nokia 3310' is not known" in done.stdout
    assert "it has no row" in done.stderr
    facts = "kind: phone\n  screen_mm: [58.5, 104.05]\n  camera_to_screen_mm: [18.61, 8.03]\n  camera_side: top\n"
    (tmp_path / "own.yaml").write_text(f"nokia_3310:\n  {facts}")
    done = prepare(tmp_path, "devices=own.yaml", "overwrite=true")
    assert done.returncode == 0, done.stderr
    assert "1 rows, 1 of them valid" in done.stdout
