"""Frames of heads: which way gaze goes, to the world and back, and what cameras see."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.geometry import pitch_yaw_to_vector, vector_to_pitch_yaw
from gaze.head_frames import camera_gaze, camera_head, gaze_axis, gaze_turn, to_canonical, to_world
from gaze.rotations import quaternion_to_matrix
from tests.avatars.heads import face_inputs

AHEAD = torch.tensor([0.0, 0.0, 1.0])


def test_signs():
    ahead, up, aside = gaze_axis(torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.0, 0.3]]))
    assert torch.allclose(ahead, AHEAD)
    assert torch.allclose(up, torch.tensor([0.0, math.sin(0.3), math.cos(0.3)]), atol=1e-6)
    assert torch.allclose(aside, torch.tensor([-math.sin(0.3), 0.0, math.cos(0.3)]), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.floats(-1.4, 1.4), st.floats(-3, 3))
def test_an_eye_that_turns_looks_along_its_gaze(pitch, yaw):
    gaze = torch.tensor([pitch, yaw])
    turn = quaternion_to_matrix(gaze_turn(gaze))
    assert torch.allclose(turn @ AHEAD, gaze_axis(gaze), atol=1e-5)
    # Without a roll: what was to the right stays level.
    assert float((turn @ torch.tensor([1.0, 0.0, 0.0]))[1]) == pytest.approx(0.0, abs=1e-5)


def test_to_the_world_and_back():
    inputs = face_inputs(3)
    points = torch.randn(3, 5, 3)
    world = to_world(points, inputs.pose, inputs.scale)
    assert torch.allclose(to_canonical(world, inputs.pose, inputs.scale), points, atol=1e-5)
    quarter = torch.tensor([0.0, math.pi / 2, 0.0, 1.0, 2.0, 3.0])  # about y: what was ahead is to the right
    found = to_world(AHEAD[None], quarter, torch.tensor(2.0))
    assert torch.allclose(found, torch.tensor([[3.0, 2.0, 3.0]]), atol=1e-5)


def test_a_head_that_faces_the_camera_is_seen_so():
    """The camera's frame is the canonical one turned by half a turn about x, so labels stay what they are."""
    inputs = replace(face_inputs(2), pose=torch.zeros(2, 6), gaze=torch.tensor([[0.2, -0.3], [0.0, 0.0]]))
    assert torch.allclose(camera_head(inputs), torch.zeros(2, 2), atol=1e-6)
    assert torch.allclose(camera_gaze(inputs)[1], torch.tensor([0.0, 0.0, -1.0]), atol=1e-6)
    assert torch.allclose(vector_to_pitch_yaw(camera_gaze(inputs)), inputs.gaze, atol=1e-6)


def test_frames_are_exact_where_a_model_runs_in_half_the_digits():
    inputs, points = face_inputs(3), torch.randn(3, 5, 3)

    def found():
        moved = [frame(points, inputs.pose, inputs.scale) for frame in (to_world, to_canonical)]
        return [camera_gaze(inputs), camera_head(inputs), *moved]

    exact = found()
    with torch.autocast("cpu", torch.bfloat16):
        again = found()
    assert all(torch.equal(a, b) for a, b in zip(exact, again, strict=True))


def test_eyes_and_head_add_up():
    turned = torch.zeros(1, 6)
    turned[0, 1] = -0.4  # to -x: a yaw of 0.4
    inputs = replace(face_inputs(1), pose=turned, gaze=torch.tensor([[0.0, 0.1]]))
    assert torch.allclose(camera_head(inputs), torch.tensor([[0.0, 0.4]]), atol=1e-6)
    assert torch.allclose(camera_gaze(inputs), pitch_yaw_to_vector(torch.tensor([[0.0, 0.5]])), atol=1e-6)
