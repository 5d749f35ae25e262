"""Stored directions become gaze of one convention, whatever file they are in."""

import itertools
import math

import pytest
import torch

from gaze.gaze_frames import (
    ANTIPODE,
    CAMERA,
    GAZE360,
    PITCH_YAW,
    YAW_PITCH,
    AngleFrame,
    GazeFrame,
    VectorFrame,
    compass_angle,
    facing,
    mirrored,
    scaled,
    unscaled,
)
from gaze.geometry import angular_error, pitch_yaw_to_vector, rotation_matrix, vector_to_pitch_yaw


def f64(*values):
    return torch.tensor(values, dtype=torch.float64)


def gazes(count=1000):
    drawn = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(drawn, dim=-1)


def test_gaze360_stores_what_its_authors_say():
    known = GAZE360.gaze(f64([-1, 0, 0], [0, 0, -1], [0, 1, 0]))
    assert known.tolist() == [[1, 0, 0], [0, 0, -1], [0, -1, 0]]  # to the picture's right, into the camera, up
    row = GAZE360.gaze(f64(0.4538, 0.0578, -0.8892))
    pitch, yaw = vector_to_pitch_yaw(row).rad2deg().tolist()
    assert (pitch, yaw) == pytest.approx((3.31, 27.04), abs=0.01)
    x, y, z = 0.4538, 0.0578, -0.8892  # 2DGaze beside it in GazeHub's files
    spherical = f64(math.atan2(x, -z), math.asin(y))
    assert angular_error(YAW_PITCH.gaze(spherical), row).rad2deg() < 0.01


def test_angles_of_each_file_are_read_in_its_own_order():
    stored = f64(0.1, -0.4)
    assert vector_to_pitch_yaw(PITCH_YAW.gaze(stored)).tolist() == pytest.approx([0.1, -0.4])
    assert vector_to_pitch_yaw(YAW_PITCH.gaze(stored)).tolist() == pytest.approx([-0.4, 0.1])
    assert vector_to_pitch_yaw(AngleFrame(signs=(-1, 1), degrees=True).gaze(f64(30.0, 45.0))).tolist() == pytest.approx(
        [-math.pi / 6, math.pi / 4]
    )
    pitch, yaw = stored
    other = torch.stack([pitch.cos() * yaw.sin(), pitch.sin(), pitch.cos() * yaw.cos()])  # ETH's helper for errors
    assert angular_error(ANTIPODE.gaze(other), PITCH_YAW.gaze(stored)) < 1e-12


@pytest.mark.parametrize(
    "frame",
    [
        *(VectorFrame(o, s) for o in itertools.permutations(range(3)) for s in itertools.product((1, -1), repeat=3)),
        *(
            AngleFrame(first, s, degrees)
            for first, s, degrees in itertools.product((True, False), ((1, 1), (-1, 1)), (True, False))
        ),
    ],
    ids=str,
)
def test_what_is_stored_comes_back(frame):
    assert isinstance(frame, GazeFrame)
    gaze = gazes(50)
    torch.testing.assert_close(frame.gaze(frame.stored(gaze)), gaze)


def test_frames_say_what_is_wrong_and_what_they_are():
    with pytest.raises(ValueError, match=r"expected an order of 0, 1, 2"):
        VectorFrame((0, 0, 1))
    assert [str(frame) for frame in (CAMERA, GAZE360, YAW_PITCH)] == [
        "(x, y, z)",
        "(-x, -y, z)",
        "(yaw, pitch) in radians",
    ]


def test_the_scale_of_mpiifacegaze_shrinks_angles_and_comes_off():
    gaze = pitch_yaw_to_vector(f64(0.0, math.radians(15)))
    stored = scaled(gaze, f64(1.0, 1.0, 1.2))
    assert angular_error(stored, f64(0, 0, -1)).rad2deg().item() == pytest.approx(12.6, abs=0.05)
    torch.testing.assert_close(unscaled(stored, f64(1.0, 1.0, 1.2)), gaze)


def test_a_mirrored_picture_negates_yaw_of_gaze_and_head_and_nothing_else():
    gaze = gazes()
    before, after = vector_to_pitch_yaw(gaze), vector_to_pitch_yaw(mirrored(gaze))
    torch.testing.assert_close(after, before * f64(1, -1))
    turns = rotation_matrix(gazes(20) * 0.6)
    head = vector_to_pitch_yaw(facing(turns))
    published = torch.stack([turns[:, 1, 2].asin(), torch.atan2(turns[:, 0, 2], turns[:, 2, 2])], -1)
    torch.testing.assert_close(head, published)


def test_the_compass_of_a_picture():
    right, up, left, down = f64([1, 0, -1], [0, -1, -1], [-1, 0, -1], [0, 1, 1]).unbind(0)
    angles = compass_angle(torch.stack([right, up, left, down])).rad2deg()
    assert angles.tolist() == pytest.approx([0, 90, 180, -90])
    assert compass_angle(f64([0.01, 0, -1], [0, 0.01, 1], [0.02, 0, -1])).isnan().tolist() == [True, True, False]
