import math

import numpy as np
import pytest
import torch

from gaze.datasets.screen_table import pack
from gaze.errors import UserError
from gaze.recordings.completion import complete
from gaze.recordings.landmark_boxes import eye_boxes, face_box
from gaze.recordings.mpiifacegaze import MPIIFaceGaze
from gaze.recordings.rows import table_of
from gaze.screens.figures import figures
from gaze.screens.rows import rows_of
from gaze.types import ScreenTargets
from tests.groups import build, node
from tests.recordings.mpiifacegaze_folders import line, write_person


def read(root, name="p00", **options):
    return list(MPIIFaceGaze(root, **options).read(name))


def test_the_label_counts_from_the_camera_through_an_oblique_screen(tmp_path):
    write_person(tmp_path)
    (sample,) = read(tmp_path)
    assert sample.valid, sample.reject_reason
    assert sample.gaze_screen_px == (640, 400)
    assert sample.gaze_screen_cm == pytest.approx((16, 10))  # 0.25 mm a pixel, in cm and not in dm
    # (-10, 90, 60) mm in the camera frame: 1 cm to the user's right of the camera and 9 cm below
    assert sample.gaze_cam_cm == pytest.approx((1, -9))
    assert sample.cam_to_screen_cm is None


def test_the_label_counts_from_the_corner_of_the_screen(tmp_path):
    write_person(tmp_path)
    (sample,) = read(tmp_path, label="screen")
    assert sample.gaze_cam_cm == pytest.approx((16, -10))
    assert sample.cam_to_screen_cm == (0, 0)  # as if the camera sat in the corner
    # What is in the real camera's frame would contradict it: the eyes are elsewhere seen from the corner.
    done = complete(sample, {})
    assert done.gaze_vector is done.gaze_pitchyaw is done.gaze_origin_cm is None
    table = table_of([done], tmp_path)
    labels, facts = pack(table)
    assert facts.origin.isnan().all()
    targets = ScreenTargets(labels.point, origin=facts.origin, distance_cm=facts.distance_cm)
    found = figures(rows_of(labels.point + torch.tensor([3.0, 4.0]), targets))
    assert "error_deg" not in found
    assert found["error_deg_approximate"] == pytest.approx(math.degrees(math.atan2(5, math.hypot(1, 9, 66))))


def test_gaze_runs_from_the_centre_of_the_face_to_the_target(tmp_path):
    write_person(tmp_path)
    (sample,) = read(tmp_path)
    # (-10, 90, 60) - (10, 90, 660) = (-20, 0, -600) mm, to the picture's left: yaw is positive
    assert sample.gaze_vector == pytest.approx(np.array([-20, 0, -600]) / math.hypot(20, 600))
    assert sample.gaze_pitchyaw == pytest.approx((0, math.atan2(20, 600)))
    assert sample.gaze_origin_cm == pytest.approx((1, 9, 66))
    assert sample.head_distance_cm == pytest.approx(math.hypot(1, 9, 66))
    assert sample.head_pose == pytest.approx([0.1, 0.2, 0.3, 1, 2, 60])  # mm become cm
    assert sample.camera_K == (1000, 1010, 640, 360)


def test_boxes_come_from_corners_and_the_left_eye_is_on_the_right(tmp_path):
    write_person(tmp_path)
    (sample,) = read(tmp_path)
    assert sample.right_eye_box == (510 - 15, 300 - 15, 30, 30)  # 1.5 times 20 px
    assert sample.left_eye_box == (570 - 15, 300 - 15, 30, 30)
    # 80 px across and 80 px high, around (540, 326.7): 1.5 times 80
    assert sample.face_box == pytest.approx((480, 980 / 3 - 60, 120, 120))
    assert sample.frame_size == (1280, 720)


def test_the_height_of_a_face_is_measured_along_y_alone():
    # 40 px across and 60 px high, far right in a wide picture: y - x would be negative
    landmarks = np.array([(1400, 100), (1410, 100), (1430, 100), (1440, 100), (1410, 160), (1430, 160)], dtype=float)
    assert face_box(landmarks) == pytest.approx((1420 - 45, 120 - 45, 90, 90))
    tilted = np.array([(0, 0), (3, 4), (20, 0), (23, 4)], dtype=float)
    assert eye_boxes(tilted)[1] == pytest.approx((1.5 - 3.75, 2 - 3.75, 7.5, 7.5))


def test_frames_are_lines_and_a_laptop_has_a_screen_of_its_own(tmp_path):
    write_person(tmp_path, "p03", [line(), "", line("day02/0007.jpg", eye="right")])
    first, second = read(tmp_path, "p03")
    assert [first.sample_id, second.sample_id] == ["mpiifacegaze/p03/00001", "mpiifacegaze/p03/00003"]
    assert (second.subject, second.session, second.attrs) == ("p03", "day02", {"evaluation_eye": "right"})
    assert (first.device, first.device_kind) == (None, "laptop")
    assert first.screen_px == (1280, 800)
    assert first.screen_cm == pytest.approx((32, 20))


def test_one_person_is_left_out_and_never_trained_on(tmp_path):
    for name in ("p00", "p01", "p02", "p03"):
        (tmp_path / name).mkdir()
    assert MPIIFaceGaze(tmp_path, fold=3, val_people=1).split == {
        "p00": "val", "p01": "train", "p02": "train", "p03": "test",
    }  # fmt: skip
    assert set(MPIIFaceGaze(tmp_path, fold=0).split.values()) == {"train", "test"}
    assert set(MPIIFaceGaze(tmp_path).split.values()) == {"train"}
    for options, message in (
        ({"fold": 4}, "fold is 4; expected null, or 0 to 3"),
        ({"fold": 0, "val_people": 3}, "3 of 4"),
    ):
        with pytest.raises(UserError, match=message):
            MPIIFaceGaze(tmp_path, **options)


def test_the_evaluation_list_chooses_and_weighs(tmp_path):
    write_person(tmp_path, lines=[line(), line("day01/0002.jpg"), line("day01/0003.jpg")])
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "p00.txt").write_text("day01/0003.jpg left\nday01/0001.jpg left\nday01/0003.jpg right\n")
    assert [(s.frame, s.weight) for s in read(tmp_path, sample_lists=lists)] == [(1, 1), (3, 2)]
    (lists / "p00.txt").write_text("day01/0001.jpg left\nday01/0009.jpg left\n")
    with pytest.raises(UserError, match=r"p00\.txt:line 2: day01/0009\.jpg is not among the pictures"):
        read(tmp_path, sample_lists=lists)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (line(px=("nan", 400)), "label is not finite"),
        (line(target=(-10, 90, "inf")), "label is not finite"),
        (line(target=(-10, 80, 60)), "targets in px and in the camera frame differ by more than 0.5 cm"),
        (line("day01/missing.png"), "picture is missing or damaged"),
    ],
)
def test_unusable_frames_stay_with_the_reason(tmp_path, bad, reason):
    write_person(tmp_path, lines=[bad, line("day01/0002.jpg")])
    assert [sample.reject_reason for sample in read(tmp_path)] == [reason, None]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (line() + " 7", r"p00\.txt:line 2: 29 fields; expected 28"),
        (line(eye=""), r"p00\.txt:line 2: 27 fields; expected 28"),
        (line(px=("x", 1)), r"p00\.txt:line 2: could not convert string to float: 'x'"),
        (line("../../secret.png"), r"p00\.txt:line 2: the picture is '\.\./\.\./secret\.png'"),
    ],
)
def test_bad_lines_are_named(tmp_path, bad, message):
    write_person(tmp_path, lines=[line(), bad])
    with pytest.raises(UserError, match=message):
        read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rvects": None}, r"monitorPose\.mat lacks rvects"),
        ({"rvects": np.zeros((2, 1))}, r"monitorPose\.mat holds an array of \(2,\); expected \(3,\) finite numbers"),
        ({"cameraMatrix": np.full((3, 3), np.nan)}, r"Camera\.mat holds an array"),
        ({"width_mm": 0.0}, r"screenSize\.mat: a screen of \[1280\.0, 800\.0, 0\.0, 200\.0\]; expected sizes above 0"),
    ],
)
def test_bad_calibrations_are_refused(tmp_path, changes, message):
    write_person(tmp_path, **changes)
    with pytest.raises(UserError, match=message):
        read(tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    folder = write_person(tmp_path)
    (folder / "Calibration" / "Camera.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(UserError, match=r"Camera\.mat can't be read"):
        read(tmp_path)
    (folder / "Calibration" / "Camera.mat").unlink()
    with pytest.raises(UserError, match=r"Camera\.mat is missing; expected MATLAB arrays cameraMatrix, from the MPII"):
        read(tmp_path)
    with pytest.raises(UserError, match="label is 'screne'; expected one of camera_plane, screen"):
        MPIIFaceGaze(tmp_path, label="screne")
    with pytest.raises(UserError, match="nothing called"):
        MPIIFaceGaze(folder)


def test_the_config_builds_a_reader_with_a_person_to_validate_on(tmp_path):
    for name in ("p00", "p01", "p02"):
        write_person(tmp_path, name)
    reader = build(node("recording", "mpiifacegaze"), root=str(tmp_path))
    assert [(name, sample.split) for name in reader.recordings() for sample in reader.read(name)] == [
        ("p00", "test"), ("p01", "val"), ("p02", "train"),
    ]  # fmt: skip
