"""Numbers as waves of rising frequency, so that a small network can tell near ones apart (Mildenhall et al. 2020)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

OCTAVES = 4
WIDTH = 1 + 2 * OCTAVES  # numbers that stand for one


def encoded(x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
    """Nine numbers for each: x, then sin(2^k x) and cos(2^k x) for k of 0 to 3."""
    waves = [wave(2.0**octave * x) for octave in range(OCTAVES) for wave in (torch.sin, torch.cos)]
    return torch.cat([x, *waves], -1)
