"""After-the-fact calibration: one factor of all concentrations, fitted to a validation split."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.concentration import one_minus_cosine

STEPS = 60  # halvings of an interval of 16 decades


def temperature_of(concentration: Float[Tensor, "n"], error: Float[Tensor, "n"]) -> float | None:
    """The factor of the concentrations with which errors, radians, are likeliest; None where none is known.

    The likelihood is concave in the factor, so its slope is halved down to zero.
    """
    known = concentration.isfinite() & error.isfinite()
    kappa, far = concentration[known].double(), one_minus_cosine(error[known].double())
    if not len(kappa):
        return None
    low, high = torch.tensor(-8.0, dtype=torch.float64), torch.tensor(8.0, dtype=torch.float64)  # powers of ten
    for _ in range(STEPS):
        middle = (low + high) / 2
        scaled = kappa * 10**middle
        slope = (far * scaled - 1 + 2 * scaled / torch.expm1(2 * scaled)).mean()  # of the NLL in log factor
        low, high = torch.where(slope < 0, middle, low), torch.where(slope < 0, high, middle)
    return float(10 ** ((low + high) / 2))
