"""AUC and average precision against scikit-learn, which sorts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from gaze.metrics.ranking import auc_at_cells, auc_of_mask, average_precision, weighted_average_precision

RELAXED = settings(deadline=None, max_examples=50, derandomize=True)
SEEDS = st.integers(0, 2**31)


def scores(seed, n, k, levels):
    """Random scores; few levels make many ties."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels, (n, k), generator=generator).float() / levels, generator


@RELAXED
@given(SEEDS, st.integers(1, 6), st.integers(2, 200), st.sampled_from([2, 5, 10_000]))
def test_auc_at_cells_is_scikit_learns(seed, annotators, k, levels):
    values, generator = scores(seed, 3, k, levels)
    cells = torch.randint(0, k, (3, annotators), generator=generator)  # some twice
    there = torch.rand(3, annotators, generator=generator) < 0.8
    for row, auc in enumerate(auc_at_cells(values, cells, there)):
        labels = torch.zeros(k)
        labels[cells[row][there[row]]] = 1
        if 0 < labels.sum() < k:
            assert auc.item() == pytest.approx(roc_auc_score(labels, values[row]), abs=1e-12)
        else:
            assert auc.isnan()


@RELAXED
@given(SEEDS, st.integers(2, 200), st.sampled_from([2, 5, 10_000]), st.floats(0, 1))
def test_auc_of_mask_is_scikit_learns(seed, k, levels, share):
    values, generator = scores(seed, 3, k, levels)
    positive = torch.rand(3, k, generator=generator) < share
    for row, auc in enumerate(auc_of_mask(values, positive)):
        if 0 < positive[row].sum() < k:
            assert auc.item() == pytest.approx(roc_auc_score(positive[row], values[row]), abs=1e-12)
        else:
            assert auc.isnan()


@RELAXED
@given(SEEDS, st.integers(1, 60), st.sampled_from([2, 5, 10_000]), st.floats(0.1, 1))
def test_average_precision_is_scikit_learns(seed, n, levels, share):
    values, generator = scores(seed, 1, n, levels)
    labels = (torch.rand(n, generator=generator) < share).float()
    result = average_precision(values[0], labels)
    if labels.any():
        assert result.item() == pytest.approx(average_precision_score(labels, values[0]), abs=1e-9)
    else:
        assert result.isnan()


def test_golden_average_precision():
    labels, values = torch.tensor([1.0, 0, 1, 1, 0, 1]), torch.tensor([0.9, 0.8, 0.8, 0.6, 0.6, 0.2])
    assert average_precision(values, labels).item() == pytest.approx(0.7333333333, abs=1e-9)


def test_a_constant_scores_a_half_and_the_prevalence():
    cells, there = torch.tensor([[1, 4]]), torch.ones(1, 2, dtype=torch.bool)
    assert auc_at_cells(torch.zeros(1, 9), cells, there).item() == 0.5
    assert average_precision(torch.zeros(4), torch.tensor([1.0, 0, 1, 1])).item() == 0.75


@RELAXED
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), min_size=1, max_size=12))
def test_weighted_average_precision_is_that_of_repeated_scores(heads):
    """Whole weights are numbers of copies; several rows are several answers."""
    scores, positive, times = (torch.tensor(column) for column in zip(*heads, strict=True))
    rows = torch.stack([times, torch.ones_like(times)]).double()
    weighted = weighted_average_precision(scores.double(), positive, rows, torch.arange(len(scores)))
    for row, value in zip(rows, weighted, strict=True):
        copies = scores.double().repeat_interleave(row.long()), positive.double().repeat_interleave(row.long())
        torch.testing.assert_close(value, average_precision(*copies), equal_nan=True, atol=1e-12, rtol=0)
