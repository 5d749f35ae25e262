"""The heatmap loss."""

import math

import pytest
import torch
import torch.nn.functional as F

from gaze.heatmaps import gaussian_targets
from gaze.losses.heatmap import HeatmapBCE
from gaze.types import Batch, Progress, SceneInputs, ScenePrediction, SceneTargets

NAN = math.nan
START = Progress(0, 10, 5)


def batch(points, inout):
    n = len(points)
    targets = SceneTargets(torch.tensor(points), torch.tensor(inout), torch.full((n, 2), 100))
    return Batch(SceneInputs(torch.rand(1, 3, 8, 8), torch.rand(n, 4), torch.zeros(n).long()), targets, torch.arange(1))


def test_is_the_mean_over_cells_of_heads_that_look_into_the_picture():
    points = [[[0.3, 0.4]], [[0.9, 0.1]], [[0.5, 0.5]], [[NAN, NAN]]]
    logits = torch.randn(4, 16, 24)
    loss = HeatmapBCE(sigma=2.0)(ScenePrediction(logits), batch(points, [1.0, NAN, 0.0, 1.0]), START)
    target = gaussian_targets(torch.tensor(points[:2]), (16, 24), sigma=2.0)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(logits[:2], target))


def test_heads_that_look_elsewhere_get_no_gradient():
    logits = torch.randn(3, 8, 8, requires_grad=True)
    sample = batch([[[0.3, 0.4]], [[0.5, 0.5]], [[NAN, NAN]]], [1.0, 0.0, 1.0])
    HeatmapBCE()(ScenePrediction(logits), sample, START).backward()
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1:].eq(0).all()


def test_nobody_looking_into_the_picture_is_a_zero_with_a_graph():
    logits = torch.randn(2, 8, 8, requires_grad=True)
    loss = HeatmapBCE()(ScenePrediction(logits), batch([[[NAN, NAN]], [[0.5, 0.5]]], [1.0, 0.0]), START)
    assert loss.item() == 0
    loss.backward()
    assert logits.grad.eq(0).all()


def test_the_minimum_is_the_target():
    points = [[[0.3, 0.7]]]
    target = gaussian_targets(torch.tensor(points), (8, 8), 1.5, "reference").clamp(1e-6, 1 - 1e-6)
    best = torch.logit(target).requires_grad_()
    HeatmapBCE(sigma=1.5, target="reference")(ScenePrediction(best), batch(points, [1.0]), START).backward()
    assert best.grad.abs().max() < 1e-5


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="sigma is 0"):
        HeatmapBCE(sigma=0)
    with pytest.raises(ValueError, match="target is 'cauchy'; expected one of subcell, reference"):
        HeatmapBCE(target="cauchy")
