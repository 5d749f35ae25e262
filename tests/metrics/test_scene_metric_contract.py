"""Every metric in conf/metric that is about scenes scores a perfect prediction perfectly, adds up, and hides no NaN."""

import math
from dataclasses import replace

import pytest
import torch

from gaze.heatmaps import gaussian_targets
from gaze.metrics.per_head import PerHead
from gaze.types import ScenePrediction, SceneTargets
from tests import groups

DISTANCES = ("avg_l2", "min_l2", "vat_l2")
FROM_CORNERS = DISTANCES  # exactly 0 for a peak on the point's own cell; other decodings say where in the cell it is
SIZE = 64


def is_about_scenes(name):
    return "ScenePrediction" in groups.forward_annotations(groups.node("metric", name), "update").get("prediction", "")


NAMES = [name for name in groups.names("metric") if is_about_scenes(name)]


def perfect(seed, n=6):
    """Predictions that know the answer; points on corners of cells, which is where peaks are read."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randint(10, SIZE - 10, (n, 1, 2), generator=generator)
    inout = (torch.arange(n) % 3 != 0).float()
    heatmap = torch.logit(gaussian_targets(cells / SIZE, (SIZE, SIZE), mode="reference"), eps=1e-6)
    targets = SceneTargets(cells / SIZE, inout, torch.full((n, 2), SIZE))
    return ScenePrediction(heatmap, 4 * inout - 2), targets


def wrong(seed):
    prediction, targets = perfect(seed)
    return ScenePrediction(-prediction.heatmap, -prediction.inout), targets


def figures(metric, *updates):
    metric.reset()
    for prediction, targets in updates:
        metric.update(prediction, targets)
    return {key: float(value) for key, value in metric.compute().items()}


@pytest.mark.parametrize("name", NAMES)
def test_perfect_is_perfect_and_wrong_is_worse(name):
    metric = groups.build(groups.node("metric", name))
    good, bad = figures(metric, perfect(0)), figures(metric, wrong(0))
    assert good.keys() == bad.keys()
    for key, value in good.items():
        if key.startswith(DISTANCES):
            assert value <= (0 if key in FROM_CORNERS else 1 / SIZE)  # the reference's Gaussian sits on the cell
            assert bad[key] > value
        else:
            assert value > 0.999
            assert bad[key] < 0.9


@pytest.mark.parametrize("name", NAMES)
def test_replicas_add_up(name):
    """Merging states, as torchmetrics does over processes, gives what one process would have seen."""
    together = groups.build(groups.node("metric", name))
    expected = figures(together, perfect(0), wrong(1))
    first, second = groups.build(groups.node("metric", name)), groups.build(groups.node("metric", name))
    first.update(*perfect(0))
    second.update(*wrong(1))
    first.merge_state(second)
    assert {key: float(value) for key, value in first.compute().items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_nan_that_counts_is_nan_and_nan_that_does_not_is_passed_over(name):
    metric = groups.build(groups.node("metric", name))
    prediction, targets = perfect(0)

    def spoilt(drawn, told):
        heatmap, inout = prediction.heatmap.clone(), prediction.inout.clone()
        heatmap[drawn, 5, 60], inout[told] = torch.nan, torch.nan
        return ScenePrediction(heatmap, inout)

    assert all(map(math.isnan, figures(metric, perfect(1), (spoilt(1, 1), targets)).values()))
    unknown = replace(targets, inout=targets.inout.masked_fill(torch.arange(6) == 1, torch.nan))
    assert unknown.inout[0] == 0  # looks out of the frame: its map does not count
    assert figures(metric, (spoilt(0, 1), unknown)) == figures(metric, (prediction, unknown))


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_heads_make_up_the_figure_of_all(name):
    """What a metric says of single heads comes to what it computes for all of them, NaN included."""
    metric = groups.build(groups.node("metric", name))
    if not isinstance(metric, PerHead):
        pytest.skip("does not tell heads apart")
    prediction, targets = wrong(2)
    for inout in (targets.inout, torch.full((6,), torch.nan)):
        targets = replace(targets, inout=inout)
        heads = metric.heads(prediction, targets)
        expected = figures(metric, (prediction, targets))
        assert expected.keys() <= heads.keys()
        everyone = torch.ones(1, 6, dtype=torch.float64)
        together = {key: float(heads[key].over(everyone, everyone)) for key in expected}
        assert together == pytest.approx(expected, abs=1e-12, nan_ok=True)
        metric.reset()
        metric.update(prediction, targets, heads)
        assert {key: float(v) for key, v in metric.compute().items()} == pytest.approx(expected, abs=0, nan_ok=True)
    spoilt = replace(prediction, heatmap=prediction.heatmap * torch.nan, inout=prediction.inout * torch.nan)
    targets = replace(targets, inout=torch.ones(6))
    for figure in metric.heads(spoilt, targets).values():
        assert figure.over(everyone, everyone).isnan().all()
