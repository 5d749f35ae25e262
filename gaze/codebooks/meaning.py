"""Which way people look whose pictures have the same learned code."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.geometry import angular_error


class Meaning(NamedTuple):
    """Of each code; NaN where no picture has it."""

    gaze: Float[Tensor, "k 3"]  # mean direction, of unit length
    spread_rad: Float[Tensor, "k"]  # mean angle to it
    pictures: Int[Tensor, "k"]


def meanings(code: Int[Tensor, "n"], gaze: Float[Tensor, "n 3"], codes: int) -> Meaning:
    """What each of `codes` codes stands for, of the codes of pictures and the true directions in them."""
    count = torch.bincount(code, minlength=codes)
    total = torch.zeros(codes, 3, dtype=gaze.dtype, device=gaze.device).index_add_(0, code, gaze)
    mean = total / total.norm(dim=-1, keepdim=True)
    angles = angular_error(gaze, mean[code])
    spread = torch.zeros(codes, dtype=gaze.dtype, device=gaze.device).index_add_(0, code, angles) / count
    return Meaning(mean, spread, count)
