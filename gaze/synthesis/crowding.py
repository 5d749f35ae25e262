"""Chooses places in the image so that people and objects don't cover each other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

GAP = 1.3  # how far apart two discs should be, in sums of their radii


@dataclass(frozen=True)
class Discs:
    """Heads and objects as the camera sees them; c candidates, or places that are taken."""

    column: Float64[Tensor, "b c"]  # px
    row: Float64[Tensor, "b c"]  # px
    radius: Float64[Tensor, "b c"]  # px
    depth: Float64[Tensor, "b c"]
    body: Bool[Tensor, "b c"]  # a body stands below it
    line: Float64[Tensor, "b c"]  # a stand goes down from it (1), a thread up (-1), or neither (0)
    present: Bool[Tensor, "b c"]

    def one(self, choice: Int64[Tensor, "b"]) -> Discs:
        """The chosen candidate of each scene."""
        at = choice[:, None]
        return Discs(*(value.gather(1, at) for value in vars(self).values()))

    def beside(self, other: Discs) -> Discs:
        """These discs, and the others after them."""
        return Discs(*(torch.cat([a, b], 1) for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def crowding(candidates: Discs, taken: Discs) -> Float64[Tensor, "b c"]:
    """How badly each candidate gets along with what is there: 0 if nothing covers anything."""
    first = {name: value[:, :, None] for name, value in vars(candidates).items()}
    second = {name: value[:, None, :] for name, value in vars(taken).items()}
    across = (first["column"] - second["column"]).abs()
    lower = first["row"] - second["row"]
    reach = GAP * (first["radius"] + second["radius"])
    overlap = (1 - (across**2 + lower**2).sqrt() / reach).clamp_min(0)
    cost = overlap + _behind_body(first, second, across, lower) + _behind_body(second, first, across, -lower)
    cost = cost + _crossed(first, second, across, -lower) + _crossed(second, first, across, lower)
    return (cost * second["present"]).sum(2)


def _behind_body(hidden: dict[str, Tensor], front: dict[str, Tensor], across: Tensor, lower: Tensor) -> Tensor:
    """1 where a disc is behind somebody's body."""
    shoulder = 0.9 * front["radius"] + hidden["radius"]
    return (front["body"] & (front["depth"] < hidden["depth"]) & (across < shoulder) & (lower > 0)).to(across)


def _crossed(holder: dict[str, Tensor], crossed: dict[str, Tensor], across: Tensor, lower: Tensor) -> Tensor:
    """0.5 where a stand or thread passes in front of a disc; `lower` is how far the disc is below the holder."""
    meets = (holder["line"] * lower > 0) & (across < 1.1 * crossed["radius"])
    return 0.5 * (meets & (holder["depth"] < crossed["depth"])).to(across)
