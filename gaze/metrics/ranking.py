"""Areas under curves by counting ranks: exact, ties at their middle, on the device the scores are on."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
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
    ranks = torch.zeros(cells.shape, dtype=torch.float64, device=scores.device)
    for i in range(cells.shape[1]):  # one at a time: all pairs at once would be ten pictures
        score = scores.gather(1, cells[:, i : i + 1])
        ranks[:, i] = (k + _below_minus_above(scores, score)) / 2
    return _auc((ranks * positive).sum(1), positive.sum(1), k)


def _below_minus_above(scores: Float[Tensor, "n k"], score: Float[Tensor, "n 1"]) -> Float[Tensor, "n"]:
    """How many scores of a row are smaller than its one `score`, less how many are larger."""
    if scores.device.type == "cpu":  # NumPy counts what is true by the register, twice as fast as torch adds up signs
        rows = zip(scores.numpy(), score.numpy(), strict=True)
        return torch.tensor([np.count_nonzero(a < b) - np.count_nonzero(a > b) for a, b in rows], dtype=torch.float64)
    # Signs add up without error in float32 while there are fewer than 2^24.
    exact = torch.float32 if scores.shape[1] < 1 << 24 else torch.float64
    return torch.sign(score - scores).sum(1, dtype=exact).double()


def auc_of_mask(scores: Float[Tensor, "n k"], positive: Bool[Tensor, "n k"]) -> Float[Tensor, "n"]:
    """The ROC-AUC of each row when its `positive` cells, possibly many, are the positives.

    Scores are compared as float32. NaN where a row has no positives, or nothing else.
    """
    # One sort of whole numbers does it all: the order of the scores above, whether a cell is positive in the last bit.
    keys = _sorted((_ordered(scores) << 1) | positive)
    last = torch.ones_like(positive)  # of the cells with one score
    torch.ne(keys[:, 1:] >> 1, keys[:, :-1] >> 1, out=last[:, :-1])
    place = torch.arange(1, keys.shape[1] + 1, device=keys.device)
    up_to = _at_last(place.expand_as(keys), last)
    hits = _at_last((keys & 1).cumsum(1), last)
    # All cells with one score have the mean of their places as their rank.
    ranks = (up_to[:, 1:] + up_to[:, :-1]).double() / 2
    return _auc((ranks * hits.diff(dim=1)).sum(1), positive.sum(1), scores.shape[1])


def _ordered(scores: Float[Tensor, "n k"]) -> Int[Tensor, "n k"]:
    """Whole numbers in the order of the scores."""
    bits = (scores.float() + 0.0).view(torch.int32)  # -0 + 0 is 0, which equals it
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).long()


def _sorted(keys: Int[Tensor, "n k"]) -> Int[Tensor, "n k"]:
    """Each row in ascending order; on a CPU by NumPy, whose sort is some ten times as fast as torch's."""
    return torch.from_numpy(np.sort(keys.numpy(), axis=1)) if keys.device.type == "cpu" else keys.sort(1).values


def _at_last(counts: Int[Tensor, "n k"], last: Bool[Tensor, "n k"]) -> Int[Tensor, "n k+1"]:
    """A rising count as it was at the last cell of each score, held until the next one; 0 to begin with."""
    return F.pad((counts * last).cummax(1).values, (1, 0))


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


def weighted_average_precision(
    scores: Float[Tensor, "n"], positive: Bool[Tensor, "n"], weights: Float[Tensor, "r n"], heads: Int[Tensor, "m"]
) -> Float[Tensor, "r"]:
    """`average_precision` of `heads` for each row of weights: as if each score were there so many times.

    NaN without a positive.
    """
    order = heads[scores[heads].argsort(descending=True)]
    ordered, weights = scores[order], weights[:, order]
    last = torch.ones_like(ordered, dtype=torch.bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    rank = weights.cumsum(-1)
    hits = weights.mul_(positive[order]).cumsum_(-1)  # of copies, so in place
    if not last.all():
        rank, hits = rank[:, last], hits[:, last]
    total = hits[:, -1] if hits.shape[1] else hits.sum(-1)
    gained = hits.diff(prepend=torch.zeros_like(hits[:, :1]))
    # Nothing is gained where nothing is there yet.
    return gained.mul_(hits).div_(rank.clamp_(min=torch.finfo(rank.dtype).tiny)).sum(-1) / total
