import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.synthesis.camera import Camera

CAMERA = Camera(height=120, width=160, focal=150.0, horizon=torch.tensor([30.0], dtype=torch.float64))


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.floats(-400, 400), st.floats(-400, 400), st.floats(0.5, 100))
def test_locate_undoes_project(column, row, depth):
    at = [torch.tensor([v], dtype=torch.float64) for v in (column, row, depth)]
    point = CAMERA.locate(*at)
    torch.testing.assert_close(CAMERA.project(point), torch.stack(at[:2], -1), rtol=0, atol=1e-9)
    assert point[0, 2] == depth


def test_straight_ahead_is_on_the_horizon_and_right_is_right():
    ahead, right, below = CAMERA.project(torch.tensor([[[0, 0, 5.0], [1, 0, 5], [0, 1, 5]]], dtype=torch.float64))[0]
    assert ahead.tolist() == [80, 30]
    assert right[0] > 80
    assert below[1] > 30


def test_ball_box_touches_the_projected_ball():
    center = torch.tensor([[1.5, 2.0, 6.0]], dtype=torch.float64)
    directions = torch.nn.functional.normalize(
        torch.randn(1, 200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=-1
    )
    points = CAMERA.project(center[:, None] + 0.8 * directions)[0]
    box = CAMERA.ball_box(center, torch.tensor([0.8], dtype=torch.float64))[0]
    sampled = torch.cat([points.amin(0), points.amax(0)])
    torch.testing.assert_close(sampled, box, rtol=0, atol=0.05)
    assert (points >= box[:2] - 1e-9).all()
    assert (points <= box[2:] + 1e-9).all()
