"""Crops of a stored picture that are still to be sampled: where they are, and what is pasted into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

Affine = tuple[float, float, float, float, float, float]  # x = a u + b v + c, y = d u + e v + f; fractions of sides
Edges = tuple[int, int, int, int]  # px of the sample: rows from, rows to, columns from, columns to

WHOLE: Affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Paste:
    """Part of another picture that covers the first rectangle, but for the others."""

    image: UInt8[Tensor, "3 H W"]
    at: Affine
    edges: Sequence[Edges]

    def mirrored(self, size: tuple[int, int]) -> Paste:
        """The same in a mirror, of a sample of (height, width) px."""
        edges = [(top, bottom, size[1] - right, size[1] - left) for top, bottom, left, right in self.edges]
        return replace(self, at=mirrored(self.at), edges=edges)

    def turned(self, quarters: int, size: tuple[int, int]) -> Paste:
        """The same after quarter turns counter-clockwise; of a sample of (height, width) px before."""
        edges = list(self.edges)
        for quarter in range(quarters % 4):
            side = size[1 - quarter % 2]
            edges = [(side - right, side - left, top, bottom) for top, bottom, left, right in edges]
        return replace(self, at=turned(self.at, quarters), edges=edges)


def mirrored(at: Affine) -> Affine:
    """Where a sample's places are, once its left and right are exchanged."""
    a, b, c, d, e, f = at
    return -a, b, a + c, -d, e, d + f


def turned(at: Affine, quarters: int) -> Affine:
    """Where a sample's places are, once it has been turned counter-clockwise by 90 degrees `quarters` times."""
    for _ in range(quarters % 4):
        a, b, c, d, e, f = at
        at = b, -a, a + c, e, -d, d + f  # the new column is the old row, the new row counts old columns from the right
    return at


def matrix(at: Affine) -> Float[Tensor, "2 3"]:
    """As `gaze.datasets.pixel_batches.sampled` takes it."""
    return torch.tensor(at).view(2, 3)
