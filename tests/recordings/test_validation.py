"""Every mistake of a data set that is known to happen is found, and its message says what to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaze.devices import load_devices
from gaze.landmarks.points import COUNT, DEFAULT, MESH, RIGHT_LIDS
from gaze.recordings.completion import complete
from gaze.recordings.lag import label_lag
from gaze.recordings.rows import table_of
from gaze.recordings.sample import ScreenSample
from gaze.recordings.validation import Finding, refusals, validate
from gaze.recordings.writer import ScreenWriter
from tests.recordings.miniature import sample

DEVICES = load_devices()


def frames(count: int = 20, **changes) -> list[ScreenSample]:
    return [complete(sample(frame=frame, **changes), DEVICES) for frame in range(count)]


def check(tmp_path, samples, **options) -> dict[str, Finding]:
    with ScreenWriter(tmp_path / "a.parquet", dataset="mini", boxes="made up") as table:
        table.write(samples)
    return {finding.name: finding for finding in validate(table.path, DEVICES, **options)}


def test_nothing_is_wrong_with_good_recordings(tmp_path):
    assert check(tmp_path, frames()) == {}
    assert refusals(table_of(frames(), tmp_path), DEVICES) == [None] * 20


BOX = (100.0, 100.0, 50.0, 50.0)
PX = np.full((478, 3), 300.0)
FEW = np.full((478, 3), 0.5)
FEW[RIGHT_LIDS[0]] = np.nan
MIRRORED = np.full((478, 3), 0.5)
MIRRORED[[33, 133], 0] = 0.7


@pytest.mark.fault("D7")
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("box", {"face_box": (0.0, 0.0, 0.0, 10.0)}),
        ("box", {"face_box": (float("nan"), 0.0, 5.0, 10.0)}),
        ("box", {"left_eye_box": (2000.0, 0.0, 60.0, 60.0)}),
        ("box", {"face_box": (0.0, 0.0, 4000.0, 4000.0)}),
        ("eyes swapped", {"left_eye_box": BOX}),
        ("eyes outside the face", {"left_eye_box": (440.0, 10.0, 20.0, 20.0)}),
        ("landmarks in px", {"landmarks": PX}),
        ("landmarks incomplete", {"landmarks": FEW}),
        ("landmarks swapped", {"landmarks": MIRRORED}),
        ("label missing", {"gaze_cam_cm": (float("nan"), 1.0)}),
        ("label out of range", {"gaze_cam_cm": (9.0, -5.0), "gaze_screen_cm": None}),
        ("labels disagree", {"gaze_screen_cm": (1.0, 1.0), "gaze_cam_cm": (1.0 - 1.861, -0.803 - 1.002)}),
        ("orientation", {"orientation": 0}),
        ("screen size", {"screen_cm": (0.0, 10.0)}),
        ("screen unknown", {"screen_cm": None, "device": None}),
        ("device unknown", {"device": "Nokia 3310"}),
        ("picture missing", {"face": None}),
        ("frame rotation", {"frame_rotation": 45}),
        ("split", {"split": "training"}),
        ("no face", {"attrs": {"faces": "0"}}),
        ("more than one face", {"attrs": {"faces": "2"}}),
    ],
)
def test_a_bad_row_is_found(tmp_path, name, changes):
    samples = frames()
    samples[7] = (
        replace(samples[7], **changes) if name == "screen unknown" else complete(sample(frame=7, **changes), DEVICES)
    )
    found = check(tmp_path, samples)
    assert name in found
    assert (found[name].rows, found[name].of, list(found[name].examples)) == (1, 20, ["mini/anna-1/00007"])
    reasons = refusals(table_of(samples, tmp_path), DEVICES)
    assert (reasons[7] is not None) == any(f.severe for f in found.values())
    assert reasons[:7] + reasons[8:] == [None] * 19


@pytest.mark.parametrize("there", [DEFAULT, range(MESH)])
def test_the_landmarks_that_models_see_are_enough(tmp_path, there):
    points = np.full((COUNT, 3), np.nan)
    points[list(there)] = 0.5
    assert check(tmp_path, frames(landmarks=points)) == {}


def test_a_row_that_a_reader_refused_is_not_judged_again(tmp_path):
    samples = frames()
    samples[7] = replace(samples[7], face_box=(0.0, 0.0, 0.0, 0.0), valid=False, reject_reason="no face")
    assert check(tmp_path, samples) == {}


def in_unit(sample: ScreenSample, unit: str) -> ScreenSample:
    x, y = sample.gaze_cam_cm
    across, down = (sample.screen_px[0] / sample.screen_cm[0],) * 2
    moved = {
        "inches": (x / 2.54, y / 2.54),
        "mm": (10 * x, 10 * y),
        "m": (x / 100, y / 100),
        "px": (x * across, y * down),
        "pt": (x * across / 2, y * down / 2),
        "y running down": (x, -y),
        "from the screen's top left": sample.gaze_screen_cm,
    }[unit]
    return replace(sample, gaze_cam_cm=moved, gaze_screen_cm=None)


@pytest.mark.parametrize("unit", ["mm", "inches", "m", "px", "pt", "y running down", "from the screen's top left"])
def test_a_label_in_another_unit_is_recognised(tmp_path, unit):
    samples = [in_unit(s, unit) for s in frames()]
    found = check(tmp_path, samples)
    assert f" {unit}" in found["label unit"].found.removeprefix("the labels of 1 recordings seem to be"), found
    assert found["label unit"].examples == ["anna-1"]
    reasons = [reason for reason in refusals(table_of(samples, tmp_path), DEVICES) if reason]
    assert unit in ("m", "inches") or any("seem to be" in reason and unit in reason for reason in reasons)


@pytest.mark.parametrize(
    ("unit", "read"),
    [
        (u, r)
        for u in ("mm", "inches", "m", "pt", "fractions of the screen", "cm", "px")
        for r in ("cm", "px")
        if u != r
    ],
)
def test_a_label_on_the_screen_that_is_read_in_a_wrong_unit_is_recognised(tmp_path, unit, read):
    cm_of = {"cm": 1.0, "mm": 0.1, "inches": 2.54, "m": 100.0, "pt": 5.85 / 375, "px": 5.85 / 750}
    samples = []
    for s in frames():
        size = np.array(s.screen_cm)
        told = np.array(s.gaze_screen_cm) / (size if unit == "fractions of the screen" else cm_of[unit])
        wrong = replace(s, gaze_cam_cm=None, gaze_screen_cm=None, gaze_screen_px=None)
        samples.append(complete(replace(wrong, **{f"gaze_screen_{read}": tuple(told.tolist())}), DEVICES))
    found = check(tmp_path, samples)["label unit"]
    assert f"seem to be {unit} from the screen's top left" in found.found
    assert found.severe


@pytest.mark.parametrize("part", [0.3, 0.5])
def test_labels_that_stay_in_a_part_of_the_screen_are_let_alone(tmp_path, part):
    """A window in the middle is no other unit: in none would it be where the screen is."""
    middle = [(0.5 * w + part * (x - 0.5 * w), 0.5 * h + part * (y - 0.5 * h)) for x, y, w, h in places()]
    samples = [replace(s, gaze_cam_cm=None, gaze_screen_cm=point) for s, point in zip(frames(), middle, strict=True)]
    assert check(tmp_path, [complete(s, DEVICES) for s in samples]) == {}


def places():
    return [(*s.gaze_screen_cm, *s.screen_cm) for s in frames()]


def test_a_unit_that_the_screen_does_not_have_is_not_guessed(tmp_path):
    samples = [replace(s, screen_pt=None, screen_px=None, gaze_cam_cm=(50.0, 7.0 * s.frame)) for s in frames()]
    assert set(check(tmp_path, samples)) == {"label out of range", "labels disagree"}


@pytest.mark.fault("D10")
def test_a_subject_in_two_splits_is_an_error(tmp_path):
    found = check(
        tmp_path, [*frames(), *frames(recording="anna-2", split="test"), *frames(recording="anna-3", split="calib")]
    )
    finding = found["subject in two splits"]
    assert finding.severe
    assert list(finding.examples) == ["anna in test and train"]
    assert "each person belongs in one" in str(finding)


@pytest.mark.fault("D7")
def test_a_sample_that_is_there_twice_is_an_error(tmp_path):
    assert check(tmp_path, [*frames(), frames()[3]])["duplicate"].rows == 2


def walk(count: int) -> np.ndarray:
    """Dots of nine frames each, cm."""
    dots = np.random.default_rng(0).uniform((0.5, 0.5), (5.3, 9.9), (count // 9 + 1, 2))
    return np.repeat(dots, 9, axis=0)[:count]


@pytest.mark.parametrize("lag", [-3, 0, 2])
def test_labels_that_were_recorded_late_or_early_are_noticed(lag):
    point = walk(300)
    features = np.concatenate([point, np.sin(point)], axis=1) + np.random.default_rng(1).normal(0, 0.1, (300, 4))
    found = label_lag("anna-1", features, np.roll(point, lag, axis=0))
    assert (found.frames if found else 0) == lag
    if lag == 2:
        assert "labels seem 2 frames late" in str(found)


def test_features_that_tell_nothing_of_the_label_tell_no_lag():
    noise = np.random.default_rng(1).normal(size=(300, 12))
    assert label_lag("anna-1", noise, walk(300)) is None
    assert label_lag("anna-1", noise[:40], walk(300)[:40]) is None


def test_the_lag_of_a_table_is_found_from_its_boxes(tmp_path):
    samples = []
    for frame, (x, y) in enumerate(np.roll(walk(200), 3, axis=0).tolist()):
        eye = walk(200)[frame]
        box = (240.0 + 3 * eye[0], 200.0 + 3 * eye[1], 60.0, 60.0)
        label = {"gaze_screen_cm": (x, y), "gaze_cam_cm": None, "face": b"", "left_eye": None, "right_eye": None}
        samples.append(complete(sample(frame=frame, left_eye_box=box, **label), DEVICES))
    assert "anna-1: labels seem 3 frames late" in check(tmp_path, samples)["label lag"].found
    assert check(tmp_path, samples, lag_reach=0) == {}
