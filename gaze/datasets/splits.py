"""Which split is read from what: a validation split that is held out where a data set has none."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b

from gaze.datasets.faults import DatasetError

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")


def choose(root: str, split: str, found: Collection[str], expected: Callable[[str], str]) -> tuple[str, bool]:
    """The split whose annotations are to be read, and whether a part of them is held out for validation.

    Args:
        root: the folder, for messages.
        split: what is wanted.
        found: the splits that have annotations.
        expected: says where those of a split should be.

    Raises:
        DatasetError: there is no such split.
    """
    held_out = split in ("train", "val") and "val" not in found
    source = "train" if held_out else split
    if split not in SPLITS or source not in found:
        looked = expected(source) if split in SPLITS else " or ".join(SPLITS)
        there = ", ".join(found) or "no annotation file"
        raise DatasetError(f"split {split!r} of {root}: expected {looked}; the folder holds {there}")
    return source, held_out


def check_fraction(name: str, value: float) -> None:
    """Refuse a share that would leave nothing to train on."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name}.val_fraction is {value}; expected a fraction from 0 to below 1")


def draw(name: str) -> float:
    """A number in [0, 1) that depends on the name alone: the same on every machine, whatever else is there."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") / 2**64


def hold_out(groups: Collection[str], fraction: float) -> frozenset[str]:
    """The groups (shows, videos, sessions) that are held out: `fraction` of them, but one at least and never all.

    They are those of the smallest `draw`, so that the order of the names does not matter.
    """
    distinct = sorted(set(groups), key=lambda name: (draw(name), name))
    if fraction == 0 or not distinct:
        return frozenset()
    count = math.floor(fraction * len(distinct) + 0.5)
    return frozenset(distinct[: min(max(count, 1), len(distinct) - 1)])


def take(root: str, split: str, groups: Iterable[str], fraction: float, unit: str) -> frozenset[str]:
    """The groups of "train" or "val" where the data set has no validation split of its own.

    Raises:
        DatasetError: nothing can be held out.
    """
    every = frozenset(groups)
    held = hold_out(every, fraction)
    if split == "val" and not held:
        raise DatasetError(
            f"{root} has no val split, and none of its {len(every)} {unit}(s) can be held out with val_fraction={fraction:g}; "
            f"expected a fraction such as 0.1 and at least two {unit}s"
        )
    return held if split == "val" else every - held


def warn_shared(root: str, split: str, groups: Iterable[str], other: str, theirs: Iterable[str], unit: str) -> None:
    """Say which groups are in two splits. Not a fault: published splits may share them; but figures flatter then."""
    shared = sorted(set(groups) & set(theirs))
    if shared:
        names = ", ".join(shared[:5]) + (", ..." if len(shared) > 5 else "")
        log.warning("%s: %d %s(s) of the %s split are also in %s: %s", root, len(shared), unit, split, other, names)
