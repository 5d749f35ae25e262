"""Target angles: what is refused, what is clamped and said, and that heads then face where they should."""

import logging
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.errors import UserError
from gaze.geometry import vector_to_pitch_yaw
from gaze.head_frames import camera_gaze, camera_head
from gaze.redirection.targets import (
    Limits,
    angles,
    clamped,
    facing,
    in_degrees,
    looking,
)
from gaze.rotations import matrix_to_quaternion, quaternion_to_matrix, vector_to_matrix
from gaze.types import collate
from tests.redirection.some_heads import PaintedHeads

angle = st.floats(-1.2, 1.2)


@pytest.fixture(scope="module")
def head():
    return collate([PaintedHeads("test")[3].inputs])


def test_what_eyes_cant_reach_is_clamped_and_said_from_what_to_what(caplog):
    wanted = angles([[0, 60], [-50, 10], [20, -30]], "gazes")
    with caplog.at_level(logging.WARNING):
        found = clamped(wanted, Limits())
    torch.testing.assert_close(found.rad2deg(), torch.tensor([[0.0, 45], [-35, 10], [20, -30]]))
    assert "2 of 3 target gazes" in caplog.text
    assert "pitch +0°, yaw +60° to pitch +0°, yaw +45°; pitch -50°, yaw +10° to pitch -35°, yaw +10°" in caplog.text
    caplog.clear()
    clamped(found, Limits())
    assert not caplog.text


@pytest.mark.parametrize("told", [[[0, math.nan]], [[1, 2, 3]], [[95, 0]], [["a", 1]], [7]])
def test_what_is_no_angle_is_refused_with_its_place(told):
    with pytest.raises(UserError, match=r"gazes\[0\] is .*expected \[pitch, yaw\] in degrees"):
        angles(told, "gazes")


def test_nan_is_refused_and_limits_are_angles():
    with pytest.raises(UserError, match=r"target gaze has .*nan.*expected finite"):
        clamped(torch.tensor([[0.0, math.nan]]), Limits())
    with pytest.raises(ValueError, match="expected degrees between 0 and 90"):
        Limits(pitch=0)


@settings(max_examples=20, deadline=None)
@given(pitch=angle, yaw=angle, roll=st.floats(-3, 3), about=angle)
def test_the_camera_sees_heads_face_where_they_are_told_to(pitch, yaw, roll, about):
    inputs = collate([PaintedHeads("val", each=2)[0].inputs])
    view = inputs.world_to_camera.clone()
    view[:, :3, :3] = vector_to_matrix(torch.tensor([[about, roll, -about]])) @ view[:, :3, :3]
    inputs = replace(inputs, world_to_camera=view)
    wanted = torch.tensor([[pitch, yaw]])
    turned = facing(inputs, wanted)
    torch.testing.assert_close(camera_head(turned), wanted, atol=2e-5, rtol=0)
    torch.testing.assert_close(turned.pose[:, 3:], inputs.pose[:, 3:])
    torch.testing.assert_close(turned.gaze, inputs.gaze)
    # No roll: the head's own x stays level in the picture
    sideways = view[0, :3, :3] @ vector_to_matrix(turned.pose[0, :3]) @ torch.tensor([1.0, 0, 0])
    assert abs(float(sideways[1])) < 1e-4


def test_signs_of_gaze_and_head_add_up(head):
    turned = facing(looking(head, torch.tensor([[0.0, 0.2]])), torch.tensor([[0.0, 0.3]]))
    torch.testing.assert_close(vector_to_pitch_yaw(camera_gaze(turned)), torch.tensor([[0.0, 0.5]]), atol=1e-5, rtol=0)
    assert camera_gaze(turned)[0, 0] < 0  # positive yaw looks to the picture's left


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-3.1, 3.1), min_size=3, max_size=3))
def test_matrices_become_quaternions_and_come_back(vector):
    matrix = vector_to_matrix(torch.tensor([vector], dtype=torch.float64))
    torch.testing.assert_close(quaternion_to_matrix(matrix_to_quaternion(matrix)), matrix)


def test_captions_are_degrees():
    assert in_degrees(torch.tensor([-0.0, math.radians(30)])) == "pitch +0°, yaw +30°"
