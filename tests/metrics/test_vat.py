"""VideoAttentionTarget's AUC and distance."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.metrics.vat import VAT, hit_cells
from gaze.types import ScenePrediction, SceneTargets

RELAXED = settings(deadline=None, max_examples=50, derandomize=True)


def golden_map():
    cell = torch.arange(64, dtype=torch.float64)
    return torch.exp(-((cell[:, None] - 20) ** 2 + (cell - 40) ** 2) / 50)


def measure(maps, points, inout=None):
    metric = VAT()
    labels = torch.ones(len(points)) if inout is None else torch.tensor(inout)
    points = torch.tensor(points, dtype=maps.dtype)[:, None]
    metric.update(ScenePrediction(torch.logit(maps)), SceneTargets(points, labels, torch.full((len(points), 2), 100)))
    return {key: value.item() for key, value in metric.compute().items()}


@pytest.mark.parametrize(
    ("point", "auc", "distance"),
    [
        ((0.63, 0.33), 0.9970274450, 0.0182002747),
        ((0.98, 0.02), 0.6012566711, 0.4599796191),
        ((0.5, 0.9), 0.2464716633, 0.6006506888),
    ],
)
def test_golden_values(point, auc, distance):
    assert measure(golden_map()[None], [point]) == pytest.approx({"vat_auc": auc, "vat_l2": distance}, abs=1e-9)


def test_golden_value_with_ties():
    quantised = torch.floor(4 * golden_map()) / 4
    assert measure(quantised[None], [(0.63, 0.33)])["vat_auc"] == pytest.approx(0.8060941828, abs=1e-9)


@RELAXED
@given(st.floats(-0.3, 1.4), st.floats(-0.3, 1.4))
def test_the_rectangle_is_the_published_slice(x, y):
    expected = torch.zeros(64, 64, dtype=torch.bool)
    rows = slice(max(0, int(y * 64 - 9)), max(0, min(int(y * 64 + 10), 63)))
    columns = slice(max(0, int(x * 64 - 9)), max(0, min(int(x * 64 + 10), 63)))
    expected[rows, columns] = True
    assert torch.equal(hit_cells(torch.tensor([[x, y]], dtype=torch.float64))[0], expected)


def test_means_are_over_heads_that_look_into_the_picture():
    maps = golden_map().expand(4, -1, -1)
    points = [(0.63, 0.33), (0.5, 0.9), (0.98, 0.02), (math.nan, math.nan)]
    figures = measure(maps, points, [1.0, 1.0, 0.0, 1.0])
    assert figures["vat_auc"] == pytest.approx((0.9970274450 + 0.2464716633) / 2, abs=1e-9)
    assert figures["vat_l2"] == pytest.approx((0.0182002747 + 0.6006506888) / 2, abs=1e-9)


def test_a_target_far_beyond_the_border_has_a_distance_only():
    figures = measure(golden_map()[None], [(1.3, 0.5)])
    assert math.isnan(figures["vat_auc"])
    assert figures["vat_l2"] > 0.6


def test_other_sizes_are_resized_as_probabilities():
    small = F.interpolate(golden_map()[None, None], (32, 32), mode="bilinear")[0].clamp(1e-6, 1 - 1e-6)
    back = F.interpolate(small[None], (64, 64), mode="bilinear")[0]
    assert measure(small, [(0.63, 0.33)]) == pytest.approx(measure(back, [(0.63, 0.33)]), abs=1e-5)  # ties
