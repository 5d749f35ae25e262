"""Intervals: as wide as theory says, by picture, and honest about what they cannot say."""

import math

import pytest
import torch

from gaze import bootstrap
from gaze.bootstrap import intervals
from gaze.metrics.per_head import HeadFigure, HeadRanking
from gaze.metrics.ranking import average_precision

NAN = math.nan


def mean_of(values, counted=None):
    values = torch.as_tensor(values, dtype=torch.float64)
    return {"l2": HeadFigure(values, torch.ones(len(values), dtype=torch.bool) if counted is None else counted)}


def everyone(n):
    return torch.ones(1, n, dtype=torch.float64)


def normal(n, seed=0):
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    values = normal(400)
    low, high = intervals(mean_of(values), torch.arange(400), everyone(400), 4000)["l2"][0]
    error = 1.96 * float(values.std()) / 20
    assert low == pytest.approx(float(values.mean()) - error, abs=0.06 * error)
    assert high == pytest.approx(float(values.mean()) + error, abs=0.06 * error)


def test_heads_of_a_picture_stay_together():
    """Three copies of each head in its picture say nothing new; in pictures of their own they would."""
    values, copies = normal(50), normal(50).repeat_interleave(3)
    once = intervals(mean_of(values), torch.arange(50), everyone(50))["l2"][0]
    thrice = intervals(mean_of(copies), torch.arange(50).repeat_interleave(3), everyone(150))["l2"][0]
    assert thrice == pytest.approx(once, abs=1e-12)
    apart = intervals(mean_of(copies), torch.arange(150), everyone(150))["l2"][0]
    assert (once[1] - once[0]) / (apart[1] - apart[0]) == pytest.approx(3**0.5, rel=0.1)


def test_it_holds_the_truth_as_often_as_it_says():
    """Heads that share the luck of their picture: resampled by picture, about 95 % of intervals hold the mean, 0."""
    held, draws = 0, 200
    picture = torch.arange(60).repeat_interleave(3)
    for seed in range(draws):
        values = normal(60, seed).repeat_interleave(3) + 0.5 * normal(180, 1000 + seed)
        low, high = intervals(mean_of(values), picture, everyone(180), resamples=300, seed=seed)["l2"][0]
        held += low < 0 < high
    assert 0.90 < held / draws < 0.98


def test_draws_are_those_of_the_seed_however_many_at_once(monkeypatch):
    figures, picture = mean_of(normal(40)), torch.arange(40) // 2
    first = intervals(figures, picture, everyone(40), 200, seed=3)
    assert intervals(figures, picture, everyone(40), 200, seed=3) == first
    assert intervals(figures, picture, everyone(40), 200, seed=4) != first
    monkeypatch.setattr(bootstrap, "AT_ONCE", 40 * 7)
    assert intervals(figures, picture, everyone(40), 200, seed=3) == first


def test_numbers_of_pictures_do_not_matter():
    values, picture = normal(30), torch.arange(30) // 3
    there = intervals(mean_of(values), picture, everyone(30))
    assert intervals(mean_of(values), 1000 + 7 * picture, everyone(30)) == there


def test_masks_are_as_if_only_their_heads_were_there():
    values = normal(60)
    mask = torch.stack([torch.ones(60), torch.arange(60) % 2 == 0, torch.arange(60) < 20]).double()
    picture = torch.arange(60) // 2
    together = intervals(mean_of(values), picture, mask)["l2"]
    for row, interval in zip(mask, together, strict=True):
        alone = intervals(mean_of(values, row > 0), picture, everyone(60))["l2"][0]
        assert interval == pytest.approx(alone, abs=1e-12)


def test_a_failed_prediction_leaves_no_interval_where_it_counts():
    values = normal(20)
    values[3] = NAN
    masks = torch.stack([torch.ones(20), torch.arange(20) >= 10]).double()
    whole, part = intervals(mean_of(values), torch.arange(20), masks)["l2"]
    assert all(map(math.isnan, whole))
    assert part[0] < part[1]
    uncounted = intervals(mean_of(values, torch.arange(20) != 3), torch.arange(20), masks)["l2"][0]
    assert uncounted[0] < uncounted[1]


def test_one_picture_says_nothing_about_others():
    figures = mean_of([0.1, 0.2, 0.3, 0.4], torch.tensor([True, True, True, False]))
    assert all(map(math.isnan, intervals(figures, torch.tensor([7, 7, 7, 8]), everyone(4))["l2"][0]))
    assert all(map(math.isnan, intervals(mean_of([]), torch.tensor([]).long(), everyone(0))["l2"][0]))


def test_average_precision_is_resampled_as_copies_of_heads(monkeypatch):
    """Against the plain way: copy the heads of the drawn pictures and rank them again."""
    draw = torch.Generator().manual_seed(0)
    score, positive = (torch.rand(30, generator=draw) * 8).round().double(), torch.rand(30, generator=draw) < 0.6
    known, picture = torch.rand(30, generator=draw) < 0.9, torch.arange(30) // 3
    values = []
    for weights in bootstrap._draws(picture, 100, 0):
        for row in weights:
            heads = torch.arange(30)[known].repeat_interleave(row[known].long())
            values.append(average_precision(score[heads], positive[heads].double()))
    expected = torch.stack(values).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    figures = {"inout_ap": HeadRanking(score, positive, known)}
    assert intervals(figures, picture, everyone(30), 100)["inout_ap"][0] == pytest.approx(expected, abs=1e-12)
