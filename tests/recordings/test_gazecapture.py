import json
import math

import numpy as np
import pytest
import torch

from gaze.errors import UserError
from gaze.geometry import screen_to_camera_plane
from gaze.recordings.face_grid import grid_cells, grid_from_one
from gaze.recordings.gazecapture import GazeCapture
from tests.groups import build, node
from tests.recordings.gazecapture_folders import DOTS, FACE, columns, write_recording


def read(root, name="00002", **options):
    return list(GazeCapture(root, **options).read(name))


def reasons(root, **options):
    return [sample.reject_reason for sample in read(root, **options)]


def edit(folder, stem, key, value, at=0):
    path = folder / f"{stem}.json"
    content = json.loads(path.read_text())
    content[key][at] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("orientation", [1, 2, 3, 4])
def test_labels_of_every_orientation(tmp_path, orientation):
    write_recording(tmp_path, orientations=[orientation])
    (sample,) = read(tmp_path)
    size, point, plane = DOTS[orientation]
    assert sample.valid, sample.reject_reason
    assert sample.orientation == orientation
    assert sample.gaze_cam_cm == pytest.approx(plane)
    mm_per_point = (58.5 / 375, 104.05 / 667) if orientation <= 2 else (104.05 / 667, 58.5 / 375)
    assert sample.gaze_screen_cm == pytest.approx([p * m / 10 for p, m in zip(point, mm_per_point, strict=True)])
    assert sample.gaze_screen_px == pytest.approx([2 * p for p in point])
    assert sample.screen_pt == size
    assert sample.screen_px == tuple(2 * s for s in size)
    assert sample.screen_cm == pytest.approx((5.85, 10.405) if orientation <= 2 else (10.405, 5.85))
    assert sample.frame_size == ((480, 640) if orientation <= 2 else (640, 480))


def test_labels_satisfy_the_geometry(tmp_path):
    write_recording(tmp_path, orientations=[1, 2, 3, 4])
    for sample in read(tmp_path):
        point, size, offset = (
            torch.tensor(v, dtype=torch.float64)
            for v in (sample.gaze_screen_cm, sample.screen_cm, sample.cam_to_screen_cm)
        )
        expected = screen_to_camera_plane(point, size, offset, torch.tensor(sample.orientation))
        assert sample.gaze_cam_cm == pytest.approx(expected.tolist(), abs=1e-9)


def test_display_zoom_changes_points_but_not_the_label(tmp_path):
    # 320 x 568 points over the same 58.5 x 104.05 mm
    folder = write_recording(tmp_path, screen={"W": [320], "H": [568], "Orientation": [1]})
    edit(folder, "dotInfo", "XPts", 75 * 320 / 375)
    edit(folder, "dotInfo", "YPts", 267 * 568 / 667)
    (sample,) = read(tmp_path)
    assert sample.valid, sample.reject_reason
    assert sample.gaze_cam_cm == pytest.approx(DOTS[1][2])
    assert sample.gaze_screen_px == pytest.approx((150, 534))


def test_eyes_are_brought_from_the_face_to_the_frame_and_nothing_is_rounded(tmp_path):
    write_recording(tmp_path)
    (sample,) = read(tmp_path)
    assert sample.face_box == FACE
    assert sample.left_eye_box == (96.5 + 110.25, 160 + 50, 40, 40)
    assert sample.right_eye_box == (96.5 + 35, 160 + 50, 40, 40)
    assert sample.left_eye_box[0] > sample.right_eye_box[0]  # the user's left, in a picture that is not mirrored


def test_facts_of_a_recording(tmp_path):
    folder = write_recording(tmp_path, "00007", split="test")
    (sample,) = read(tmp_path, "00007")
    assert (sample.sample_id, sample.subject, sample.split) == ("gazecapture/00007/00000", "00007", "test")
    assert (sample.device, sample.device_kind, sample.dot_index, sample.dot_time_s) == ("iphone_6", "phone", 0, 0.6)
    assert sample.picture == folder / "frames" / "00000.jpg"


def test_subjects_of_several_recordings(tmp_path):
    write_recording(tmp_path)
    (tmp_path / "who.json").write_text('{"00002": "ann"}')
    (sample,) = read(tmp_path, subjects=tmp_path / "who.json")
    assert (sample.subject, sample.recording) == ("ann", "00002")


def test_the_grid_counts_from_one():
    # 96.5 / 480 * 25 = 5.03, 160 / 640 * 25 = 6.25, 192 / 480 * 25 = 10, 192 / 640 * 25 = 7.5: MATLAB rounds up
    assert grid_cells(FACE, (480, 640)) == (5, 6, 10, 8) == grid_from_one(6, 7, 10, 8)
    assert grid_cells((-96, 400, 192, 320), (480, 640)) == (0, 16, 5, 9)  # clipped at the left and below
    assert grid_from_one(1, 1, 25, 25) == (0, 0, 25, 25)


def test_a_grid_that_counts_from_zero_is_told_from_one_that_counts_from_one(tmp_path):
    folder = write_recording(tmp_path)
    assert reasons(tmp_path, max_grid_error=0) == [None]
    (folder / "faceGrid.json").write_text(json.dumps(columns([(5, 6, 10, 8)])))
    assert reasons(tmp_path, max_grid_error=0) == ["face grid and face box disagree"]


@pytest.mark.parametrize(
    ("stem", "key", "value", "reason"),
    [
        ("appleFace", "IsValid", 0, "the device found no face"),
        ("appleLeftEye", "IsValid", 0, "the device did not find both eyes"),
        ("appleRightEye", "IsValid", 0, "the device did not find both eyes"),
        ("faceGrid", "IsValid", 0, "face grid is not valid"),
        ("appleRightEye", "W", 0, "a box is empty or not finite"),
        ("appleFace", "X", None, "a box is empty or not finite"),
        ("dotInfo", "XCam", None, "label is not finite"),
        ("dotInfo", "YCam", math.inf, "label is not finite"),
        ("dotInfo", "Time", 0.4, "dot shown for less than 0.5 s"),
        ("dotInfo", "XCam", 1.0, "labels in points and in cm differ by more than 0.1 cm"),
        ("dotInfo", "YPts", None, "labels in points and in cm differ by more than 0.1 cm"),
        ("screen", "W", 0, "the screen of screen.json has no area"),
        ("screen", "Orientation", 5, "orientation is not 1 to 4"),
        ("screen", "Orientation", None, "orientation is not 1 to 4"),
        ("faceGrid", "X", 9, "face grid and face box disagree"),
    ],
)
def test_unusable_frames_stay_with_the_reason(tmp_path, stem, key, value, reason):
    edit(write_recording(tmp_path, orientations=[1, 1]), stem, key, value)
    assert reasons(tmp_path) == [reason, None]
    assert [sample.valid for sample in read(tmp_path)] == [False, True]


def test_labels_that_disagree_are_reported(tmp_path, caplog):
    edit(write_recording(tmp_path, orientations=[1, 1]), "dotInfo", "XCam", 1.0)
    reasons(tmp_path)
    assert "1 of 2 frames are refused: labels in points and in cm differ" in caplog.text


def test_missing_and_damaged_pictures(tmp_path):
    folder = write_recording(tmp_path, orientations=[1, 1, 1])
    (folder / "frames" / "00000.jpg").unlink()
    (folder / "frames" / "00002.jpg").write_bytes(b"no picture")
    assert reasons(tmp_path) == ["picture is missing or damaged", None, "picture is missing or damaged"]


@pytest.mark.parametrize(
    "stem", ["frames", "appleFace", "appleLeftEye", "appleRightEye", "faceGrid", "dotInfo", "screen", "info"]
)
def test_a_missing_file_is_named_with_what_it_should_hold(tmp_path, stem):
    write_recording(tmp_path, **{stem: None})
    with pytest.raises(UserError, match=rf"{stem}\.json is missing; expected .*, from the GazeCapture download"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dotInfo": "{"}, r"dotInfo\.json is not JSON"),
        ({"appleFace": "[1]"}, r"appleFace\.json holds a list; expected lists X, Y, W, H, IsValid"),
        ({"appleFace": "{}"}, r"appleFace\.json has no list 'X'"),
        ({"faceGrid": columns([FACE] * 2)}, r"faceGrid\.json: X has 2 entries, and frames\.json 1"),
        ({"faceGrid": {**columns([FACE]), "Y": ["a"]}}, r"faceGrid\.json: Y holds what is no number"),
        ({"frames": ["../00000.jpg"]}, r"frames\.json holds '\.\./00000\.jpg'"),
        ({"frames": "7"}, r"frames\.json holds 7; expected file names"),
        ({"info": {"Dataset": "dev", "DeviceName": "iPhone 6"}}, "Dataset is 'dev'; expected train, val, test"),
        ({"info": {"Dataset": "val"}}, "does not say DeviceName"),
        ({"info": {"Dataset": "val", "DeviceName": "iPhone 6z"}}, "'iPhone 6z' is not known; did you mean iphone_6"),
    ],
)
def test_damaged_files_are_refused(tmp_path, changes, message):
    write_recording(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_recordings_leave_out_the_known_bad_ones_and_read_nothing(tmp_path):
    for name in ("01185", "00002", "00010", "frames", "123"):
        (tmp_path / name).mkdir()
    reader = build(node("recording", "gazecapture"), root=str(tmp_path))
    assert reader.recordings() == ["00002", "00010"]
    assert GazeCapture(tmp_path).recordings() == ["00002", "00010", "01185"]


def test_a_root_without_recordings_is_refused(tmp_path):
    with pytest.raises(UserError, match="has no recording; expected folders 00002"):
        GazeCapture(tmp_path).recordings()
    with pytest.raises(UserError, match="is not a folder; expected a folder NNNNN per recording"):
        GazeCapture(tmp_path / "nowhere")


MOTION = {
    "DotNum": [0, 0, 1],
    "Time": [0.5, 0.7, 0.6],
    **{f"Gravity{axis}": [0.0, 0.2, 1.0] for axis in "XYZ"},
    **{f"RotationRate{axis}": [1.0, 3.0, 0.0] for axis in "XYZ"},
    **{f"UserAcceleration{axis}": [0.0, 0.0, 0.5] for axis in "XYZ"},
}


def records(motion):
    return [
        {
            "DotNum": motion["DotNum"][at],
            "Time": motion["Time"][at],
            **{
                name: {axis.lower(): motion[f"{name}{axis}"][at] for axis in "XYZ"}
                for name in ("Gravity", "RotationRate", "UserAcceleration")
            },
        }
        for at in range(3)
    ]


@pytest.mark.parametrize("motion", [MOTION, records(MOTION)], ids=["lists", "records"])
def test_motion_is_read_at_the_time_of_the_frame_and_of_its_dot_only(tmp_path, motion):
    write_recording(tmp_path, orientations=[1, 1, 1], motion=motion)  # dots 0, 1, 2 at 0.6 s
    first, second, third = read(tmp_path)
    assert first.imu == pytest.approx(np.repeat([0.1, 2.0, 0.0], 3))
    assert second.imu == pytest.approx(np.repeat([1.0, 0.0, 0.5], 3))
    assert third.imu is None


def test_motion_without_known_values_is_left_out_with_a_word(tmp_path, caplog):
    write_recording(tmp_path, motion={"DotNum": [0], "Time": [0.6]})
    assert read(tmp_path)[0].imu is None
    assert "the frames of this recording get no IMU values" in caplog.text


def test_motion_of_different_lengths_is_refused(tmp_path):
    write_recording(tmp_path, motion={**MOTION, "Time": [0.5]})
    with pytest.raises(UserError, match="lists of different lengths"):
        read(tmp_path)
