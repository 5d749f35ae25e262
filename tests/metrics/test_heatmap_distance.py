"""Distances from the peak of the heatmap."""

import math

import pytest
import torch

from gaze.heatmaps import gaussian_targets
from gaze.metrics.heatmap_distance import HeatmapDistance
from gaze.types import ScenePrediction, SceneTargets

NAN = math.nan


def golden_heatmap():
    cell = torch.arange(64, dtype=torch.float64)
    return torch.logit(torch.exp(-((cell[:, None] - 20) ** 2 + (cell - 40) ** 2) / 50))[None]


def targets(points, inout=(1.0,)):
    n = len(inout)
    return SceneTargets(torch.tensor(points, dtype=torch.float64), torch.tensor(inout), torch.full((n, 2), 100))


def result(metric, *updates):
    metric.reset()
    for prediction, target in updates:
        metric.update(ScenePrediction(prediction), target)
    return {key: value.item() for key, value in metric.compute().items()}


def test_golden_values():
    points = [[[0.60, 0.30], [0.65, 0.35], [0.70, 0.33], [0.62, 0.28]]]
    figures = result(HeatmapDistance(), (golden_heatmap(), targets(points)))
    assert figures == pytest.approx({"avg_l2": 0.0176776695, "min_l2": 0.0279508497}, abs=1e-9)


def test_absent_annotators_do_not_count():
    few, padded = [[[0.6, 0.3], [0.7, 0.4]]], [[[0.6, 0.3], [NAN, NAN], [0.7, 0.4]]]
    metric = HeatmapDistance()
    assert result(metric, (golden_heatmap(), targets(few))) == result(metric, (golden_heatmap(), targets(padded)))


def test_means_are_over_heads_that_look_into_the_picture():
    near, far, outside = [[40 / 64, 20 / 64]], [[40 / 64, 20 / 64 + 0.3]], [[NAN, NAN]]
    heatmaps = golden_heatmap().expand(4, -1, -1)
    batch = (heatmaps, targets([near, far, near, outside], (1.0, 1.0, 0.0, 1.0)))
    assert result(HeatmapDistance(), batch)["avg_l2"] == pytest.approx(0.15)
    assert result(HeatmapDistance(), batch, batch)["avg_l2"] == pytest.approx(0.15)


def test_nothing_counted_is_nan():
    assert math.isnan(result(HeatmapDistance(), (golden_heatmap(), targets([[[0.5, 0.5]]], (0.0,))))["min_l2"])


def test_the_centre_of_the_cell_is_half_a_cell_further():
    """The golden point, (40, 20) / 64, moved by (0.5, 0.5) / 64."""
    points = [[[0.60, 0.30], [0.65, 0.35], [0.70, 0.33], [0.62, 0.28]]]
    x, y = 40.5 / 64, 20.5 / 64
    expected = {
        "avg_l2_centre": math.hypot(0.6425 - x, 0.315 - y),
        "min_l2_centre": min(math.hypot(a - x, b - y) for a, b in points[0]),
    }
    assert result(HeatmapDistance("centre"), (golden_heatmap(), targets(points))) == pytest.approx(expected, abs=1e-9)


def test_dark_reads_within_a_cell_what_the_corner_is_a_cell_away_from():
    points = torch.tensor([[[20.3 / 64, 40.9 / 64]], [[33.8 / 64, 25.7 / 64]]], dtype=torch.float64)
    logits = torch.logit(0.9 * gaussian_targets(points, (64, 64)), eps=1e-9)
    figures = result(HeatmapDistance("dark"), (logits, targets(points.tolist(), (1.0, 1.0))))
    assert figures.keys() == {"avg_l2_dark", "min_l2_dark"}
    assert (
        figures["min_l2_dark"]
        < 0.02 / 64
        < result(HeatmapDistance(), (logits, targets(points.tolist(), (1.0, 1.0))))["min_l2"]
    )


def test_the_interpolated_peak_is_better_and_named_so():
    points = torch.tensor([[[0.313, 0.777]]], dtype=torch.float64)
    logits = torch.logit(gaussian_targets(points, (32, 32)), eps=1e-12)
    corner = result(HeatmapDistance(), (logits, targets(points.tolist())))
    subcell = result(HeatmapDistance("subcell"), (logits, targets(points.tolist())))
    assert subcell.keys() == {"avg_l2_subcell", "min_l2_subcell"}
    assert subcell["avg_l2_subcell"] < 1e-6 < corner["avg_l2"]


def test_an_unknown_decoding_is_refused():
    with pytest.raises(ValueError, match="decode is 'drak'; expected one of corner, centre, subcell, dark"):
        HeatmapDistance("drak")
