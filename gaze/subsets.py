"""The parts that a split is broken down into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.errors import UserError
from gaze.head_records import HeadRecords


class Subset(NamedTuple):
    """Some of the heads of a split."""

    kind: str
    name: str
    mask: Bool[Tensor, "n"]
    extent: tuple[float, float] | None = None  # the smallest and the largest value, if it is a range of values


def by_head_size(records: HeadRecords) -> list[Subset]:
    """Thirds of the heads by the side of their box."""
    return _thirds("head_size", ("small", "medium", "large"), records.head_side)


def by_distance(records: HeadRecords) -> list[Subset]:
    """Thirds of the heads with a target in the picture, by how far from the head it is."""
    return _thirds("distance", ("near", "medium", "far"), records.target_distance)


def by_inout(records: HeadRecords) -> list[Subset]:
    """Heads whose target is in the picture, and those whose target is not."""
    return [Subset("inout", name, records.inout == label) for name, label in (("in", 1), ("out", 0))]


SUBSETS: dict[str, Callable[[HeadRecords], list[Subset]]] = {
    "head_size": by_head_size,
    "distance": by_distance,
    "inout": by_inout,
}


def check_kinds(kinds: Sequence[str]) -> None:
    """Refuse a breakdown that does not exist.

    Raises:
        UserError: names it, and those that do.
    """
    unknown = [kind for kind in kinds if kind not in SUBSETS]
    if unknown:
        raise UserError(f"subsets has {', '.join(map(repr, unknown))}; expected some of {', '.join(SUBSETS)}")


def subsets(records: HeadRecords, kinds: Sequence[str]) -> list[Subset]:
    """The parts of each kind that hold a head; they depend on labels alone, so all models have the same."""
    return [part for kind in kinds for part in SUBSETS[kind](records) if part.mask.any()]


def _thirds(kind: str, names: tuple[str, str, str], value: Float[Tensor, "n"]) -> list[Subset]:
    """Equal values stay together; a head without a value is in none."""
    there = value.isfinite()
    if not there.any():
        return []
    known = value[there].double()
    ordered = known.sort().values
    n = len(ordered)
    last = ordered[[(n + 2) // 3 - 1, (2 * n + 2) // 3 - 1]]  # of the first third, and of the second
    third = torch.full(value.shape, -1)
    third[there] = torch.bucketize(known, last)
    found = []
    for number, name in enumerate(names):
        mask = third == number
        if mask.any():
            found.append(Subset(kind, name, mask, (float(value[mask].min()), float(value[mask].max()))))
    return found
