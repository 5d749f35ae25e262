"""What figures are made of: values of frames or people, and how they become one number, with any weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

Reduce = Callable[[Tensor, Tensor], Tensor]  # m values and rows of m weights to a number for each row


class Measure(NamedTuple):
    """A figure before it is one: values of frames, fixations or users, and what is made of them."""

    name: str
    value: Float[Tensor, "m"]  # NaN where prediction failed
    subject: Int[Tensor, "m"]  # whose value it is; the bootstrap draws users
    reduce: Reduce

    @property
    def n(self) -> int:
        """How many frames, fixations or users it rests on."""
        return len(self.value)

    def figure(self) -> float:
        """The number; NaN if there are no values, or prediction failed for one of them."""
        return float(self.over(torch.ones(1, self.n, dtype=self.value.dtype, device=self.value.device)))

    def over(self, weight: Float[Tensor, "r m"]) -> Float[Tensor, "r"]:
        """The numbers with each row of weights; a value of weight 0 does not count."""
        if not self.n:
            return self.value.new_full((len(weight),), math.nan)
        broken = ((weight > 0) & self.value.isnan()).any(-1) | ~(weight > 0).any(-1)
        return self.reduce(self.value.nan_to_num(0.0), weight).masked_fill(broken, math.nan)

    def by_user(self) -> tuple[Measure, Float[Tensor, "u"]]:
        """The same in as few values as over any users has the same numbers, and how many each of them stands for.

        Means of users instead of values, where the figure is made of a mean.
        """
        if self.reduce not in (mean, root_mean):
            return self, torch.ones_like(self.value)
        users, which, counts = self.subject.unique(return_inverse=True, return_counts=True)
        means = self.value.new_zeros(len(users)).index_add_(0, which, self.value) / counts
        return self._replace(value=means, subject=users), counts.to(self.value.dtype)


class Frames(NamedTuple):
    """Makes measures of single frames, which know whose they are."""

    subject: Int[Tensor, "n"]

    def measure(self, name: str, value: Tensor, rows: Tensor | None = None, reduce: Reduce | None = None) -> Measure:
        """The measure of all frames, or of those of a mask."""
        return Measure(name, value, self.subject if rows is None else self.subject[rows], reduce or mean)


def by_person(error: Float[Tensor, "n"], subject: Int[Tensor, "n"]) -> tuple[Float[Tensor, "s"], Int[Tensor, "s"]]:
    """Means of the values of each person, and who they are; values of nobody known (-1) are left out."""
    known = subject >= 0
    users, which, counts = subject[known].unique(return_inverse=True, return_counts=True)
    return error.new_zeros(len(users)).index_add_(0, which, error[known]) / counts, users


def or_nan(hit: Tensor, like: Tensor) -> Tensor:
    """1 or 0, but NaN where prediction failed."""
    return torch.where(like.isnan(), torch.nan, hit.to(like.dtype))


# --- Reductions --------------------------------------------------------------------------------


def mean(value: Tensor, weight: Tensor) -> Tensor:
    """The weighted means."""
    return (value * weight).sum(-1) / weight.sum(-1)


def root_mean(value: Tensor, weight: Tensor) -> Tensor:
    """The roots of the weighted means: of squares, RMSE."""
    return mean(value, weight).sqrt()


def spread(value: Tensor, weight: Tensor) -> Tensor:
    """The standard deviations; of one value, NaN."""
    total = weight.sum(-1)
    square = ((value - mean(value, weight)[:, None]).square() * weight).sum(-1)
    return (square / (total - 1)).sqrt().masked_fill(total <= 1, math.nan)


@cache
def quantile(q: float) -> Reduce:
    """The smallest value that at least a fraction q of the weight does not exceed."""

    def reduce(value: Tensor, weight: Tensor) -> Tensor:
        ordered, order = value.sort()
        reached = weight[:, order].cumsum(-1)
        wanted = q * reached[:, -1:] * (1 - 1e-12)  # rounding must not skip a value
        return ordered[torch.searchsorted(reached, wanted)[:, 0].clamp(max=len(ordered) - 1)]

    return reduce


def worst_tenth(value: Tensor, weight: Tensor) -> Tensor:
    """The means of the largest tenth of the values, by weight; at least the weight of one."""
    ordered, order = value.sort(descending=True)
    share = weight[:, order]
    quota = (0.1 * weight.sum(-1, keepdim=True)).clamp(min=1)
    taken = torch.minimum(share, (quota - (share.cumsum(-1) - share)).clamp(min=0))
    return mean(ordered, taken)
