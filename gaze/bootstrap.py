"""How sure a figure is: what it could have been with other pictures of the same kind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.metrics.per_head import HeadFigure, HeadRanking

LEVEL = 0.95
AT_ONCE = 1 << 22  # weights in memory
Interval = tuple[float, float]


def intervals(
    figures: Mapping[str, HeadFigure | HeadRanking],
    picture: Int[Tensor, "n"],
    masks: Float[Tensor, "s n"],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, list[Interval]]:
    """95 % intervals of each figure over the heads of each mask: percentiles of the bootstrap (Efron, 1979).

    Resampled are pictures with all their heads: people in one picture look at the same things and share
    its light and its size, so counting them as independent would make intervals too narrow. Resamples
    without a head that counts are left out. NaN where the figure is NaN or tells nothing, and where
    only one picture matters.

    Args:
        figures: of all heads, on the CPU.
        picture: which one each head is from; or the clip.
        masks: 1 for the heads of a subset, 0 for the others.
        resamples: how often the pictures are drawn.
        seed: of the draws; they are the same for every figure, mask and model.
    """
    if not len(picture):
        return {name: [(math.nan, math.nan)] * len(masks) for name in figures}
    told = {name: figure.tells(masks) & _varies(figure, picture, masks) for name, figure in figures.items()}
    drawn: dict[str, list[Tensor]] = {name: [] for name in figures if told[name].any()}
    for weights in _draws(picture, resamples, seed):
        for name, rows in drawn.items():
            rows.append(figures[name].over(weights, masks[told[name]]))
    found = {name: [(math.nan, math.nan)] * len(masks) for name in figures}
    for name, rows in drawn.items():
        for place, interval in zip(told[name].nonzero()[:, 0].tolist(), _ends(torch.cat(rows)), strict=True):
            found[name][place] = interval
    return found


def _draws(picture: Int[Tensor, "n"], resamples: int, seed: int) -> Iterator[Float[Tensor, "r n"]]:
    """How often each head is in each resample, some resamples at a time."""
    pictures, which = picture.unique(return_inverse=True)
    count = len(pictures)
    generator = torch.Generator().manual_seed(seed)
    rows = max(1, AT_ONCE // len(picture))
    for start in range(0, resamples, rows):
        chosen = torch.randint(count, (min(rows, resamples - start), count), generator=generator)
        times = torch.zeros(chosen.shape, dtype=torch.float64)
        yield times.scatter_add_(1, chosen, torch.ones_like(times))[:, which]


def _varies(
    figure: HeadFigure | HeadRanking, picture: Int[Tensor, "n"], masks: Float[Tensor, "s n"]
) -> Bool[Tensor, "s"]:
    """Are the heads of each mask that count in more than one picture?"""
    return torch.tensor([len(picture[(mask > 0) & figure.counted].unique()) > 1 for mask in masks])


def _ends(values: Float[Tensor, "r s"]) -> list[Interval]:
    tail = (1 - LEVEL) / 2
    ends = torch.nanquantile(values, torch.tensor([tail, 1 - tail], dtype=values.dtype), dim=0)
    return [(low, high) for low, high in ends.T.tolist()]
