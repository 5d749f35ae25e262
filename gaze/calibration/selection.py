"""Which method to trust: what each would have said of every dot had it not seen it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.calibration.dots import Dots
from gaze.calibration.methods import METHODS, in_one_place

NONE = "none"  # the name of no calibration


def candidates(dots: Dots, count: int) -> list[str]:
    """The methods to choose from for some number of dots, the default first."""
    if count < 3 or in_one_place(dots):
        return ["offset_shrunk"]
    if count < 5:
        return ["offset_shrunk", "offset"]
    with_features = ["ridge_feat"] if count >= 9 and dots.features is not None else []
    return ["affine_ridge", "offset_shrunk", *with_features]


def left_out(name: str, dots: Dots, weight: Float[Tensor, "*r k"]) -> Float[Tensor, "*r k 2"]:
    """Each dot's point, calibrated by the dots of a resampling without it, cm."""
    if name == NONE:
        return dots.point.expand(*weight.shape, 2)
    without = weight.unsqueeze(-2) * (1 - torch.eye(len(dots), dtype=weight.dtype))
    features = None if dots.features is None else dots.features.unsqueeze(-2)
    return METHODS[name].fit(dots, without).apply(dots.point.unsqueeze(-2), features).squeeze(-2)


def left_out_error(name: str, dots: Dots, weight: Float[Tensor, "*r k"]) -> Float[Tensor, "*r k"]:
    """How far each dot's left-out point is from the dot, cm; 0 for dots that are not in the resampling."""
    error = (left_out(name, dots, weight) - dots.target).norm(dim=-1)
    return torch.where(weight > 0, error, 0.0)


def choose(dots: Dots, weight: Float[Tensor, "*r k"], names: list[str]) -> Int[Tensor, "*r"]:
    """The number of the method to use, -1 for none, in each resampling; all have the same number K of dots.

    Among the methods whose leave-one-dot-out error is smaller than no calibration's beyond noise, the first of `names`
    unless another is better than it beyond noise. Beyond noise: the mean difference over dots exceeds
    its standard error. One dot cannot be left out: the first method is taken unchecked.
    """
    count = int((weight > 0).sum(-1).max())
    if count == 1:
        return torch.zeros(weight.shape[:-1], dtype=torch.int64)
    plain = left_out_error(NONE, dots, weight)
    errors = [left_out_error(name, dots, weight) for name in names]
    helps = torch.stack([_smaller(error, plain, weight) for error in errors])
    total = torch.stack([error.sum(-1) for error in errors])
    best = torch.where(helps, total, torch.inf).argmin(0)
    better = torch.stack([_smaller(error, errors[0], weight) for error in errors])
    best = torch.where(helps[0] & ~better.gather(0, best[None])[0], 0, best)
    return torch.where(helps.any(0), best, -1)


def _smaller(error: Float[Tensor, "*r k"], than: Float[Tensor, "*r k"], weight: Float[Tensor, "*r k"]) -> Tensor:
    """Is the mean error smaller, by more than the standard error of the difference?"""
    used = (weight > 0).to(error.dtype)
    count = used.sum(-1)
    gain = (than - error) * used
    mean = gain.sum(-1) / count
    variance = ((gain - mean.unsqueeze(-1)).square() * used).sum(-1) / (count - 1)
    return mean > (variance / count).sqrt()
