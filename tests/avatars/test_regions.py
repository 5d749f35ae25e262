"""Which points follow what, by their distance to landmarks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.avatars import regions as module
from gaze.avatars.regions import closeness, eye_points, near_landmarks, nearest, regions
from tests.avatars.heads import landmarks


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 99))
def test_the_nearest_landmark_is_found_and_the_distance_is_squared(count, g, seed):
    generator = torch.Generator().manual_seed(seed)
    points, marks = torch.randn(g, 3, generator=generator), torch.randn(count, 3, generator=generator)
    apart = (points[:, None] - marks).square().sum(-1).amin(1)
    assert torch.allclose(nearest(points, marks), apart, atol=1e-6)


def test_pieces_make_the_whole(monkeypatch):
    points, marks = torch.randn(11, 3), torch.randn(4, 3)
    whole = nearest(points, marks)
    monkeypatch.setattr(module, "AT_ONCE", 8)
    assert torch.equal(nearest(points, marks), whole)


def test_weights_fall_from_near_to_far():
    found = closeness(torch.tensor([0.0, 0.1, 0.175, 0.25, 9.0]))
    assert torch.allclose(found, torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0]), atol=1e-6)


def test_the_metric_is_what_releases_mean_or_what_the_paper_says():
    marks = torch.zeros(1, 3)
    points = torch.tensor([[0.31, 0.0, 0.0], [0.45, 0.0, 0.0], [0.16, 0.0, 0.0], [0.51, 0.0, 0.0]])
    squared = near_landmarks(points, marks, "squared")
    euclidean = near_landmarks(points, marks, "euclidean")
    assert torch.allclose(squared, torch.tensor([1.0, (0.25 - 0.2025) / 0.15, 1.0, 0.0]), atol=1e-5)
    assert torch.allclose(euclidean, torch.tensor([0.0, 0.0, 0.9, 0.0]), atol=1e-5)


@pytest.mark.parametrize("metric", ["squared", "euclidean"])
def test_a_landmark_that_is_a_point_has_a_finite_gradient(metric):
    marks = torch.zeros(2, 3, requires_grad=True)
    points = torch.tensor([[0.0, 0.0, 0.0], [0.2, 0.0, 0.0], [0.4, 0.0, 0.0]])
    near_landmarks(points, marks, metric).sum().backward()
    assert marks.grad.isfinite().all()


def test_expression_and_pose_share_the_head_and_eyes_lie_on_top():
    marks = landmarks()
    points = torch.cat([marks, torch.tensor([[0.0, 3.0, 0.0]])])
    parts = regions(points, marks)
    assert torch.allclose(parts.shape + parts.pose, torch.ones(len(points)))
    assert (parts.shape[:-1] == 1).all()
    assert parts.pose[-1] == 1
    assert (parts.eye[36:48] == 1).all()


def test_points_of_an_eye_are_those_around_it():
    marks = landmarks()[36:42]
    generator = torch.Generator().manual_seed(0)
    points = torch.cat([marks + 0.01, 3 * torch.randn(50, 3, generator=generator)])
    assert set(range(6)) <= set(eye_points(points, marks).tolist())
    assert len(eye_points(points, marks)) < 12
