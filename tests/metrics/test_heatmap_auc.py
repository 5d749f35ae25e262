"""GazeFollow's AUC."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from gaze.metrics.heatmap_auc import HeatmapAUC
from gaze.types import ScenePrediction, SceneTargets

NAN = math.nan
POINTS = [[0.60, 0.30], [0.65, 0.35], [0.70, 0.33], [0.62, 0.28]]


def golden_map():
    cell = torch.arange(64, dtype=torch.float64)
    return torch.exp(-((cell[:, None] - 20) ** 2 + (cell - 40) ** 2) / 50)


def measure(maps, points, sizes, inout=None, **options):
    metric = HeatmapAUC(**options)
    labels = torch.ones(len(points)) if inout is None else torch.tensor(inout)
    targets = SceneTargets(torch.tensor(points, dtype=maps.dtype), labels, torch.tensor(sizes))
    metric.update(ScenePrediction(torch.logit(maps)), targets)
    return metric.compute()["auc"].item()


def test_golden_values():
    assert measure(golden_map()[None], [POINTS], [[480, 640]]) == pytest.approx(0.9928307172, abs=1e-9)
    quantised = torch.floor(4 * golden_map()) / 4  # many ties
    assert measure(quantised[None], [POINTS], [[480, 640]]) == pytest.approx(0.9921939088, abs=1e-9)


def reference(probability, points, size):
    """As GazeFollow's evaluation does it: resize, mark the annotated pixels, sort."""
    height, width = size
    scores = F.interpolate(probability[None, None], size, mode="bilinear")[0, 0]
    labels = torch.zeros(size)
    for x, y in points:
        if x >= 0:
            labels[min(int(y * height), height - 1), min(int(x * width), width - 1)] = 1
    return roc_auc_score(labels.flatten(), scores.flatten())


@pytest.mark.parametrize("max_pixels", [1, 1 << 24])
def test_pictures_of_several_sizes_and_heads_with_few_annotators(max_pixels):
    torch.manual_seed(0)
    sizes = [[40, 70], [64, 64], [40, 70], [51, 33], [40, 70]]
    maps = torch.rand(5, 16, 16, dtype=torch.float64)
    points = torch.rand(5, 4, 2).tolist()
    points[1] = [[1.0, 1.02], [0.5, 0.5], [0.5, 0.5], [0.501, 0.501]]  # over the border; one pixel thrice
    points[2] = [[0.1, 0.2], [NAN, NAN], [-1.0, -1.0], [0.7, 0.1]]  # absent, and marked as absent
    inout = [1.0, 1.0, NAN, 0.0, 1.0]
    expected = []
    for i in (0, 1, 2, 4):
        present = [p for p in points[i] if not math.isnan(p[0])]
        expected.append(reference(torch.logit(maps[i]).sigmoid(), present, tuple(sizes[i])))
    measured = measure(maps, points, sizes, inout, max_pixels=max_pixels)
    assert measured == pytest.approx(sum(expected) / 4, abs=1e-12)


def test_nothing_counted_is_nan():
    assert math.isnan(measure(golden_map()[None], [[[NAN, NAN]]], [[8, 8]]))
    assert math.isnan(measure(golden_map()[None], [POINTS], [[8, 8]], inout=[0.0]))
