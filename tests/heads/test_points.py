"""Heads that say where on the screen: in cm, as a distribution, as a heatmap, by way of space."""

import math

import pytest
import torch
from torch import nn

from gaze.heads.point import PointHead
from gaze.heads.point_geometric import PointGeometricHead
from gaze.heads.point_heatmap import PointHeatmapHead
from gaze.heads.point_laplace import PointLaplaceHead
from gaze.losses.point_heatmap import PointHeatmapKL
from gaze.types import Batch, Progress, ScreenInputs, ScreenTargets

HEADS = (PointHead, PointLaplaceHead, PointHeatmapHead, PointGeometricHead)
FEATURES = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
MEAN, UNIT = torch.tensor([1.0, -6.0]), torch.tensor([2.0, 4.0])


def head_of(kind, **options):
    torch.manual_seed(0)
    head = kind(8, **options)
    head.standard.set(MEAN, UNIT)
    return head


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_gives_a_point_its_unit_and_features_and_trains_wholly(kind):
    head = head_of(kind, hidden=[16, 12], dropout=0.1)
    prediction = head(FEATURES, ScreenInputs())
    assert prediction.point.shape == (5, 2)
    assert torch.equal(prediction.unit_cm, UNIT.expand(5, 2))
    assert prediction.features.shape == (5, 12)
    (prediction.point.square().sum() + (0 if prediction.log_scale is None else prediction.log_scale.sum())).backward()
    assert all(p.grad is not None and p.grad.any() for p in head.parameters())
    without = head_of(kind, hidden=[])(FEATURES, ScreenInputs())
    assert torch.equal(without.features, FEATURES)


def test_a_scale_keeps_between_its_limits_and_can_always_come_back():
    head = head_of(PointLaplaceHead)
    start = head_of(PointLaplaceHead)
    nn.init.zeros_(start.scale.weight)
    nn.init.zeros_(start.scale.bias)
    assert torch.allclose(start(FEATURES, ScreenInputs()).log_scale.exp(), torch.ones(5, 2))
    for far in (-8.0, 8.0):
        nn.init.constant_(head.scale.bias, far)
        b = head(FEATURES, ScreenInputs()).log_scale
        assert (b.exp() > 0.05).all()
        assert (b.exp() < 20).all()
        (gradient,) = torch.autograd.grad(b.sum(), head.scale.bias)
        assert (gradient > 1e-3).all()


def test_a_heatmap_that_peaks_in_a_cell_means_the_centre_of_that_cell():
    head = head_of(PointHeatmapHead, cells=(4, 8), extent_cm=[-8.0, 2.0, 8.0, -10.0])
    nn.init.zeros_(head.cells.weight)
    with torch.no_grad():
        head.cells.bias.fill_(-50.0)
        head.cells.bias[1 * 8 + 6] = 50.0  # second row from the top, seventh column
    prediction = head(FEATURES, ScreenInputs())
    assert torch.allclose(prediction.point, torch.tensor([5.0, -2.5]).expand(5, 2))
    assert prediction.heatmap.shape == (5, 4, 8)
    at = Batch(ScreenInputs(), ScreenTargets(torch.tensor([[5.0, -2.5]]).expand(5, 2)), torch.arange(5))
    up = Batch(ScreenInputs(), ScreenTargets(torch.tensor([[5.0, 0.5]]).expand(5, 2)), torch.arange(5))
    loss = PointHeatmapKL()
    assert loss(prediction, at, Progress(0, 1, 1)) < loss(prediction, up, Progress(0, 1, 1)) / 4


def test_a_grid_without_an_extent_covers_the_training_points():
    prediction = head_of(PointHeatmapHead, spreads=2.0)(FEATURES, ScreenInputs())
    assert prediction.grid_cm[0].tolist() == [1 - 4, -6 + 8, 1 + 4, -6 - 8]
    flat = head_of(PointHeatmapHead)
    nn.init.zeros_(flat.cells.weight)
    nn.init.zeros_(flat.cells.bias)
    assert torch.allclose(flat(FEATURES, ScreenInputs()).point, MEAN.expand(5, 2), atol=1e-4)


def test_an_untrained_user_sits_in_front_of_the_camera_and_looks_into_it():
    prediction = head_of(PointGeometricHead)(FEATURES, ScreenInputs())
    assert (prediction.origin[:, 2] - 33).abs().max() < 6
    assert prediction.origin[:, :2].abs().max() < 6
    assert (prediction.gaze[:, 2] < -0.9).all()


def test_space_is_met_where_the_formula_says():
    head = head_of(PointGeometricHead)
    for linear in (head.origin, head.pitch_yaw):
        nn.init.zeros_(linear.weight)
    with torch.no_grad():
        head.origin.bias.copy_(torch.tensor([0.2, -0.1, 0.0]))  # 2 cm to the image's right, 1 cm up, 33 cm away
        head.pitch_yaw.bias.copy_(torch.tensor([-0.2, 0.1]))
    prediction = head(FEATURES, ScreenInputs())
    o, g = prediction.origin[0], prediction.gaze[0]
    assert torch.allclose(o, torch.tensor([2.0, -1.0, 33.0]), atol=1e-4)
    met = o[:2] - o[2] * g[:2] / g[2]
    torch.testing.assert_close(prediction.point[0], -met)
    # Looking down (pitch below zero) from above the camera: below it on the screen
    assert prediction.point[0, 1].item() == pytest.approx(1 - 33 * math.tan(0.2) / math.cos(0.1), abs=1e-3)


@pytest.mark.parametrize("angle", [math.pi / 2, math.pi, 1.5707, -2.0])
def test_gaze_along_the_screen_or_away_from_it_stays_finite(angle):
    head = head_of(PointGeometricHead)
    nn.init.constant_(head.pitch_yaw.bias, angle)
    prediction = head(FEATURES, ScreenInputs())
    assert prediction.point.isfinite().all()
    prediction.point.sum().backward()
    assert all(p.grad.isfinite().all() for p in head.parameters())


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (PointLaplaceHead, {"least_cm": 2.0, "most_cm": 1.0}, "expected 0 < least_cm < most_cm"),
        (PointHeatmapHead, {"extent_cm": [0.0, 0.0, 1.0, 1.0]}, "y0 > y1"),
        (PointGeometricHead, {"distance_cm": 1.0}, "expected more than 5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(8, **options)
