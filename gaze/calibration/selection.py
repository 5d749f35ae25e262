"""Which method to trust: what each would have said of every dot had it not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.calibration.dots import Dots
from gaze.calibration.methods import Method, in_one_place, lacks

NONE = "none"  # the name of no calibration


def candidates(methods: Mapping[str, Method], dots: Dots, count: int) -> list[str]:
    """The methods to choose from for some number of dots, in their order: the first is the default."""
    together = in_one_place(dots)
    return [
        name
        for name, method in methods.items()
        if method.offered is not None
        and method.offered <= count
        and not (together and method.needs > 1)
        and not lacks(method, dots)
    ]


def left_out(method: Method | None, dots: Dots, weight: Float[Tensor, "*r k"]) -> Float[Tensor, "*r k 2"]:
    """Each dot's point, calibrated by the dots of a resampling without it, cm; None is no calibration.

    A method that is divided into folds leaves out the dot with others, and is fitted as often as there are folds.
    """
    if method is None:
        return dots.point.expand(*weight.shape, 2)
    fold = _folds(weight, method.folds)
    parts = torch.arange(int(fold.max()) + 1)
    without = weight.unsqueeze(-2) * (fold.unsqueeze(-2) != parts.unsqueeze(-1))
    points = method.fit(dots, without).of(dots)  # *r parts k 2
    own = fold.unsqueeze(-2).unsqueeze(-1).expand(*weight.shape[:-1], 1, len(dots), 2)
    return points.gather(-3, own).squeeze(-3)


def left_out_error(method: Method | None, dots: Dots, weight: Float[Tensor, "*r k"]) -> Float[Tensor, "*r k"]:
    """How far each dot's left-out point is from the dot, cm; 0 for dots that are not in the resampling."""
    error = (left_out(method, dots, weight) - dots.target).norm(dim=-1)
    return torch.where(weight > 0, error, 0.0)


def choose(methods: Sequence[Method], dots: Dots, weight: Float[Tensor, "*r k"]) -> Int[Tensor, "*r"]:
    """The number of the method to use, -1 for none, in each resampling; all have the same number K of dots.

    Among the methods whose leave-one-dot-out error is smaller than no calibration's, the first unless another is
    better than it beyond noise: the mean difference over dots exceeds its standard error. One dot cannot be left out:
    the first method is taken unchecked.
    """
    count = int((weight > 0).sum(-1).max())
    if not methods:
        return torch.full(weight.shape[:-1], -1)
    if count == 1:
        return torch.zeros(weight.shape[:-1], dtype=torch.int64)
    plain = left_out_error(None, dots, weight)
    errors = [left_out_error(method, dots, weight) for method in methods]
    total = torch.stack([error.sum(-1) for error in errors])
    helps = total < plain.sum(-1)
    best = torch.where(helps, total, torch.inf).argmin(0)
    better = torch.stack([_smaller(error, errors[0], weight) for error in errors])
    best = torch.where(helps[0] & ~better.gather(0, best[None])[0], 0, best)
    return torch.where(helps.any(0), best, -1)


def _folds(weight: Float[Tensor, "*r k"], count: int | None) -> Int[Tensor, "*r k"]:
    """The fold of each dot: as many dots of each resampling in all of them, but for one."""
    if count is None:
        return torch.arange(weight.shape[-1]).expand(weight.shape)
    return ((weight > 0).cumsum(-1) - 1).clamp(min=0) % count


def _smaller(error: Float[Tensor, "*r k"], than: Float[Tensor, "*r k"], weight: Float[Tensor, "*r k"]) -> Tensor:
    """Is the mean error smaller beyond noise, by more than the standard error of the difference?"""
    used = (weight > 0).to(error.dtype)
    count = used.sum(-1)
    gain = (than - error) * used
    mean = gain.sum(-1) / count
    variance = ((gain - mean.unsqueeze(-1)).square() * used).sum(-1) / (count - 1)
    return mean > (variance / count).sqrt()
