"""Areas under curves by counting ranks: exact, ties at their middle, on the device the scores are on."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def auc_at_cells(
    scores: Float[Tensor, "n k"], cells: Int[Tensor, "n a"], there: Bool[Tensor, "n a"]
) -> Float[Tensor, "n"]:
    """The ROC-AUC of each row when the few `cells` that are `there` are the positives.

    A cell named twice counts once. Compares each positive with all cells instead of sorting them, which
    for about ten of them in a picture is tens of times faster. NaN where a row has no positives, or
    nothing else.
    """
    same = (cells[:, :, None] == cells[:, None, :]) & there[:, None, :]
    positive = there & ~same.tril(-1).any(-1)
    k = scores.shape[1]
    # Signs add up without error in float32 while there are fewer than 2^24; the fastest count there is.
    exact = torch.float32 if k < 1 << 24 else torch.float64
    ranks = torch.zeros(cells.shape, dtype=torch.float64, device=scores.device)
    for i in range(cells.shape[1]):  # one at a time: all pairs at once would be ten pictures
        score = scores.gather(1, cells[:, i : i + 1])
        below_minus_above = torch.sign(score - scores).sum(1, dtype=exact)
        ranks[:, i] = (k + below_minus_above.double()) / 2
    return _auc((ranks * positive).sum(1), positive.sum(1), k)


def auc_of_mask(scores: Float[Tensor, "n k"], positive: Bool[Tensor, "n k"]) -> Float[Tensor, "n"]:
    """The ROC-AUC of each row when its `positive` cells, possibly many, are the positives.

    NaN where a row has no positives, or nothing else.
    """
    ordered = scores.sort(1).values
    below = torch.searchsorted(ordered, scores)
    up_to = torch.searchsorted(ordered, scores, right=True)
    ranks = (below + up_to).double() / 2
    return _auc((ranks * positive).sum(1), positive.sum(1), scores.shape[1])


def _auc(rank_sum: Float[Tensor, "n"], positives: Int[Tensor, "n"], k: int) -> Float[Tensor, "n"]:
    """Mann-Whitney: a cell's rank is the number of cells below it plus half of those equal, itself included."""
    positives = positives.double()
    # Among themselves, every pair of positives contributes 1 to the ranks, and each one 1/2 with itself.
    above = rank_sum - positives.square() / 2
    return above / (positives * (k - positives))  # 0 / 0 is the NaN we promise


def average_precision(scores: Float[Tensor, "n"], labels: Float[Tensor, "n"]) -> Float[Tensor, ""]:
    """The sum over thresholds of precision times the recall gained, as scikit-learn has it.

    Equal scores share a threshold. NaN when no label is 1.
    """
    ordered, order = scores.sort(descending=True)
    hits = (labels[order] == 1).double().cumsum(0)
    last = torch.ones_like(ordered, dtype=torch.bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    rank = torch.arange(1, len(scores) + 1, device=scores.device)[last]
    hits = hits[last]
    gained = hits.diff(prepend=hits.new_zeros(1))
    return (gained * hits / rank).sum() / (labels == 1).sum()
