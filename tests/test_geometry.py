"""Boxes, points and gaze directions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.geometry import (
    angular_error,
    box_areas,
    box_centres,
    boxes_from_px,
    boxes_to_px,
    clamp_boxes,
    pitch_yaw_to_vector,
    points_from_px,
    points_to_px,
    valid_boxes,
    vector_to_pitch_yaw,
)

RELAXED = settings(deadline=None, max_examples=50, derandomize=True)


def test_boxes():
    boxes = torch.tensor([[-0.5, 0.0, 0.5, 0.5], [0.75, 0.5, 0.25, 1.0], [math.nan] * 4, [1.2, 0.0, 1.4, 1.0]])
    assert clamp_boxes(boxes)[0].tolist() == [0, 0, 0.5, 0.5]
    assert box_areas(boxes)[:2].tolist() == [0.5, 0]
    assert box_centres(boxes)[0].tolist() == [0, 0.25]
    assert valid_boxes(boxes).tolist() == [True, False, False, False]


def test_pixels_are_x_by_width_and_y_by_height():
    size = torch.tensor([480, 640])
    assert points_to_px(torch.tensor([0.5, 0.25]), size).tolist() == [320, 120]
    assert boxes_to_px(torch.tensor([[0.0, 0.5, 0.5, 1.0]]), size).tolist() == [[0, 240, 320, 480]]


def test_pixels_come_back_as_fractions_with_a_size_per_row():
    size = torch.tensor([[480, 640], [100, 30]])
    boxes, points = torch.rand(2, 4), torch.rand(2, 2)
    torch.testing.assert_close(boxes_from_px(boxes_to_px(boxes, size), size), boxes)
    torch.testing.assert_close(points_from_px(points_to_px(points, size), size), points)


@pytest.mark.parametrize(
    ("pitch", "yaw", "vector"),
    [
        (0.0, 0.0, (0, 0, -1)),  # into the camera
        (math.pi / 2, 0.0, (0, -1, 0)),  # up; y points down
        (0.0, math.pi / 2, (-1, 0, 0)),  # to the image's left
        (math.pi / 6, 0.0, (0, -0.5, -math.sqrt(0.75))),
        (0.0, math.pi, (0, 0, 1)),  # away; what comes back is pi, not -pi
    ],
)
def test_known_directions(pitch, yaw, vector):
    made = pitch_yaw_to_vector(torch.tensor([pitch, yaw], dtype=torch.float64))
    torch.testing.assert_close(made, torch.tensor(vector, dtype=torch.float64))
    assert vector_to_pitch_yaw(torch.tensor(vector, dtype=torch.float64)).tolist() == pytest.approx([pitch, yaw])


@RELAXED
@given(st.floats(-1.57, 1.57), st.floats(-3.14, 3.14), st.floats(0.01, 100))
def test_angles_survive_the_vector_of_any_length(pitch, yaw, length):
    angles = torch.tensor([pitch, yaw], dtype=torch.float64)
    vector = pitch_yaw_to_vector(angles)
    assert vector.norm().item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(vector_to_pitch_yaw(vector * length), angles, atol=1e-9, rtol=0)


@RELAXED
@given(st.floats(1e-6, math.pi - 1e-3))
def test_angular_error_is_exact_also_for_tiny_angles_in_float32(angle):
    a = torch.tensor([1.0, 0.0, 0.0])
    b = torch.tensor([math.cos(angle), math.sin(angle), 0.0])
    assert angular_error(a, 3 * b).item() == pytest.approx(angle, rel=1e-5)


def test_angular_error_at_the_ends_and_its_gradient():
    a = torch.tensor([[0.0, 0.0, -1.0]] * 2, requires_grad=True)
    b = torch.tensor([[0.0, 0.0, -2.0], [0.0, 0.0, 1.0]])
    error = angular_error(a, b)
    assert error.tolist() == pytest.approx([0, math.pi])
    error.sum().backward()
    assert a.grad.isfinite().all()


def directions(count):
    """Unit vectors over the whole sphere in float64, with the poles, the axes and those just beside them."""
    drawn = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    axes = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    return torch.nn.functional.normalize(torch.cat([drawn, axes, axes + 1e-9 * drawn[:6]]), dim=-1)


def test_round_trips_all_over_the_sphere_and_known_angles_between():
    gaze = directions(100_000)
    angles = vector_to_pitch_yaw(gaze)
    assert (angles.abs() <= torch.tensor([math.pi / 2, math.pi], dtype=torch.float64)).all()
    assert (pitch_yaw_to_vector(angles) - gaze).abs().max() < 1e-6
    assert angular_error(gaze, 7 * gaze).max() < 1e-6 * math.pi / 180
    assert angular_error(gaze, -gaze).min() > math.pi - 1e-12
    across = torch.linalg.cross(gaze, gaze.roll(1, 0))
    assert (angular_error(gaze, across) - math.pi / 2).abs().max() < 1e-9
    a, b, c = gaze, gaze.roll(1, 0), gaze.roll(2, 0)
    torch.testing.assert_close(angular_error(a, b), angular_error(b, a), atol=1e-15, rtol=1e-14)
    assert (angular_error(a, c) <= angular_error(a, b) + angular_error(b, c) + 1e-12).all()


def test_the_gradient_of_the_angle_is_one_at_all_angles_and_finite_at_the_ends():
    true = torch.tensor([0.0, 0.0, -1.0])
    degrees = torch.tensor([0.001, 0.01, 0.1, 1, 45, 90, 135, 179, 179.9])
    seen = torch.stack([degrees.deg2rad().sin(), torch.zeros(9), -degrees.deg2rad().cos()], -1).requires_grad_()
    angular_error(seen, true.expand(9, 3)).sum().backward()
    assert ((seen.grad.norm(dim=-1) - 1).abs() < 0.01).all()
    ends = torch.tensor([[0.0, 0, -1], [0.0, 0, 1], [0.0, 0, 0]], requires_grad=True)
    error = angular_error(ends, true.expand(3, 3))
    assert error.tolist() == pytest.approx([0, math.pi, math.pi / 2])
    error.sum().backward()
    assert ends.grad.isfinite().all()
    assert ends.grad[2].tolist() == [0, 0, 1]  # a step against it goes toward the target
