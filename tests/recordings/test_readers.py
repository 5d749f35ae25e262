"""What all readers have in common: their frames fit the table."""

import re
from pathlib import Path

import pytest

from gaze.devices import load_devices
from gaze.recordings.checks import CHECKS
from gaze.recordings.completion import complete
from gaze.recordings.gazecapture import GazeCapture
from gaze.recordings.mpiifacegaze import MPIIFaceGaze
from gaze.recordings.rows import sample_of, table_of
from gaze.recordings.schema import SCHEMA
from gaze.recordings.validation import refusals
from tests.recordings.gazecapture_folders import write_recording
from tests.recordings.mpiifacegaze_folders import line, write_person
from tests.recordings.test_gazecapture import MOTION
from tests.recordings.test_gazecapture_prepared import GazeCapturePrepared
from tests.recordings.test_gazecapture_prepared import write as write_prepared
from tests.recordings.test_gazehub_2d import LAPTOPS, PHONES, GazeHub2D, laptop, phone
from tests.recordings.test_gazehub_2d import write as write_labels
from tests.recordings.test_mobilepog import MobilePoG
from tests.recordings.test_mobilepog import write as write_poses

RECORDINGS = Path(__file__).parents[2] / "conf" / "recording"


def gazecapture(root):
    write_recording(root, orientations=[1, 2, 3, 4], motion=MOTION)
    return GazeCapture(root)


def prepared(root):
    write_prepared(root)
    return GazeCapturePrepared(root)


def mpiifacegaze(root):
    write_person(root, lines=[line(), line(px=("nan", 1))])
    return MPIIFaceGaze(root)


def mobilepog(root):
    write_poses(root)
    return MobilePoG(root)


def phones(root):
    write_labels(root, "train/00002.label", PHONES, [phone(root, 0), phone(root, 1, cam=("nan", 1))])
    return GazeHub2D(root)


def laptops(root):
    write_labels(root, "p00.label", LAPTOPS, [laptop(root)])
    return GazeHub2D(root)


READERS = [gazecapture, prepared, mpiifacegaze, mobilepog, phones, laptops]


@pytest.mark.parametrize("build", READERS)
def test_frames_fit_the_table_and_come_back(tmp_path, build):
    reader = build(tmp_path)
    samples = [sample for name in reader.recordings() for sample in reader.read(name)]
    assert any(sample.valid for sample in samples)
    assert {sample.dataset for sample in samples} == {reader.dataset}
    assert len({sample.sample_id for sample in samples}) == len(samples)
    for sample, row in zip(samples, table_of(samples, tmp_path).to_pylist(), strict=True):
        again = sample_of(row, tmp_path)
        for name in (
            "sample_id",
            "split",
            "valid",
            "reject_reason",
            "device",
            "orientation",
            "picture",
            "face",
            "dot_index",
        ):
            assert getattr(again, name) == getattr(sample, name)
        for name in ("face_box", "left_eye_box", "gaze_cam_cm", "gaze_screen_cm", "gaze_vector", "screen_cm"):
            value = getattr(sample, name)
            assert getattr(again, name) == (None if value is None else pytest.approx(value, abs=1e-4)), name


@pytest.mark.parametrize("build", READERS)
def test_what_a_reader_calls_valid_passes_the_checks(tmp_path, build):
    reader, devices = build(tmp_path), load_devices()
    samples = [
        complete(sample, devices) for name in reader.recordings() for sample in reader.read(name) if sample.valid
    ]
    assert refusals(table_of(samples, tmp_path), devices) == [None] * len(samples)


def test_the_documentation_names_every_column_check_and_reader():
    text = (Path(__file__).parents[2] / "docs" / "recordings.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert set(SCHEMA.names) <= named
    assert {path.stem for path in RECORDINGS.glob("*.yaml")} <= named
    assert {check.name for check in CHECKS} <= {name.strip() for row in rows for name in row.split(",")}
