"""The von Mises-Fisher distribution of directions: how a concentration kappa becomes angles, and angles probabilities.

Its density at the angle a from its mean is kappa exp(kappa (cos a - 1)) / (2 pi (1 - exp(-2 kappa))) per steradian.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor


def one_minus_cosine(angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """1 - cos of angles, radians, with all its digits near 0."""
    return 2 * (angle / 2).sin().square()


def negative_log_likelihood(concentration: Float[Tensor, "*#b"], far: Float[Tensor, "*#b"]) -> Float[Tensor, "*b"]:
    """Of directions whose angle from the mean is a, with `far` = 1 - cos a, in nats; ln 4 pi at a concentration of 0."""
    # 1 - exp(-2 kappa), whose digits an exponential near 1 would lose
    whole = torch.log(-torch.expm1(-2 * concentration))
    return -concentration.log() + math.log(2 * math.pi) + whole + concentration * far


def quantile(concentration: Float[Tensor, "*b"], q: float | Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The radius of the cone about the mean that holds a share q of all directions, radians."""
    log_left = torch.log1p(q * torch.expm1(-2 * concentration))
    # sin(a / 2) instead of cos(a): the cosine of a small angle has lost its digits
    return 2 * torch.asin((-log_left / (2 * concentration)).clamp(0, 1).sqrt())


def share_within(concentration: Float[Tensor, "*#b"], angle: Float[Tensor, "*#b"]) -> Float[Tensor, "*b"]:
    """Which share of all directions is nearer to the mean than an angle, radians: the inverse of `quantile`."""
    return torch.expm1(-concentration * one_minus_cosine(angle)) / torch.expm1(-2 * concentration)


def mean_angle(concentration: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """About how far directions are from the mean on average, radians; exact for large concentrations."""
    return (math.pi / (2 * concentration)).sqrt().clamp(max=math.pi / 2)
