"""Average precision of in/out."""

import math

import pytest
import torch

from gaze.metrics.inout_precision import InoutPrecision
from gaze.types import ScenePrediction, SceneTargets


def update(metric, logits, labels):
    n = len(labels)
    targets = SceneTargets(torch.full((n, 1, 2), math.nan), torch.tensor(labels), torch.full((n, 2), 100))
    metric.update(ScenePrediction(torch.zeros(n, 4, 4), torch.tensor(logits)), targets)


def test_golden_value_over_two_batches_with_an_unknown_label():
    metric = InoutPrecision()
    update(metric, [0.9, 0.8, 0.8], [1.0, 0.0, 1.0])
    update(metric, [0.95, 0.6, 0.6, 0.2], [math.nan, 1.0, 0.0, 1.0])
    assert metric.compute()["inout_ap"].item() == pytest.approx(0.7333333333, abs=1e-9)


def test_what_a_sigmoid_would_round_to_one_is_still_ranked():
    metric = InoutPrecision()
    update(metric, [40.0, 50.0, 60.0], [0.0, 1.0, 1.0])
    assert metric.compute()["inout_ap"].item() == 1


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_counted_is_nan():
    metric = InoutPrecision()
    assert metric.compute()["inout_ap"].isnan()
    metric.reset()
    update(metric, [1.0], [0.0])
    assert metric.compute()["inout_ap"].isnan()


def test_a_model_without_in_out_is_refused():
    targets = SceneTargets(torch.rand(1, 1, 2), torch.ones(1), torch.full((1, 2), 100))
    with pytest.raises(ValueError, match=r"set head.inout=true, or take inout_precision out of metric"):
        InoutPrecision().update(ScenePrediction(torch.zeros(1, 4, 4)), targets)
