"""Figures of single heads: what a metric adds up, kept apart for breakdowns, intervals and the worst cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.metrics.ranking import weighted_average_precision
from gaze.types import ScenePrediction, SceneTargets


class HeadFigure(NamedTuple):
    """A figure that is a mean over heads."""

    value: Float[Tensor, "n"]  # NaN where the prediction failed; anything where the head does not count
    counted: Bool[Tensor, "n"]

    @property
    def total(self) -> Float[Tensor, ""]:
        """The sum over the heads that count; NaN if the prediction failed for one of them."""
        return self.value.masked_fill(~self.counted, 0.0).sum()

    def tells(self, masks: Float[Tensor, "s n"]) -> Bool[Tensor, "s"]:
        """Does a head of each mask count?"""
        return ((masks > 0) & self.counted).any(-1)

    def over(self, weights: Float[Tensor, "r n"], masks: Float[Tensor, "s n"]) -> Float[Tensor, "r s"]:
        """The mean over the heads of each mask (1 or 0), each head weighing as each row of weights says."""
        counted = (masks * self.counted).to(weights.dtype)
        value = self.value.masked_fill(~self.counted, 0.0).to(weights.dtype)
        broken = value.isnan()
        mean = weights @ (counted * value.masked_fill(broken, 0.0)).T / (weights @ counted.T)
        # By itself: NaN times the zero of another mask would be NaN, too.
        return mean.masked_fill(((counted > 0) & broken).any(-1), torch.nan)


class HeadRanking(NamedTuple):
    """A figure that is the average precision of a score over heads."""

    score: Float[Tensor, "n"]  # NaN where the prediction failed
    positive: Bool[Tensor, "n"]
    counted: Bool[Tensor, "n"]

    def tells(self, masks: Float[Tensor, "s n"]) -> Bool[Tensor, "s"]:
        """Does each mask hold both sides? Of one alone every score ranks equally well."""
        heads = (masks > 0) & self.counted
        return (heads & self.positive).any(-1) & (heads & ~self.positive).any(-1)

    def over(self, weights: Float[Tensor, "r n"], masks: Float[Tensor, "s n"]) -> Float[Tensor, "r s"]:
        """The precision over the heads of each mask (1 or 0), each head weighing as each row of weights says."""
        columns = []
        for mask in masks:
            heads = (self.counted & (mask > 0)).nonzero()[:, 0]
            column = weighted_average_precision(self.score, self.positive, weights, heads)
            broken = self.score[heads].isnan().any()  # sorting would put NaN somewhere
            columns.append(column.masked_fill(broken, torch.nan))
        return torch.stack(columns, -1)


@runtime_checkable
class PerHead(Protocol):
    """A metric that can tell its figures head by head. Its own figures are those over all heads together."""

    def heads(self, prediction: ScenePrediction, targets: SceneTargets) -> Mapping[str, HeadFigure | HeadRanking]:
        """The figures of each head of a batch, under the names that `compute` has for them, and possibly more."""
        ...
