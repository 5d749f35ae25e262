"""Which view takes over whose gaze and pose in tests of redirection: a list that is stored with the split.

Of each person's N views, in the order of the file, the first half are inputs; their targets are the second half in an order
that is drawn once and is the same for all people. The public lists have one row number per line.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from gaze.datasets.faults import DatasetError

FOLDER = "pairs"  # below a data set's root, with SPLIT.txt


def targets_of(root: Path, split: str, views: int, list_file: Path | None = None, seed: int = 0) -> list[int]:
    """For each of the first half of a file's rows the row of its target.

    From the list that is given, or else the one that is stored, or else drawn and stored where that is possible.

    Args:
        root: of the data set.
        views: rows of each file.
        list_file: one row per line.

    Raises:
        DatasetError: the list is no order of the second half.
    """
    path = list_file or root / FOLDER / f"{split}.txt"
    if list_file is None and not path.is_file():
        targets = drawn(views, seed)
        write_targets(path, targets)
        return targets
    half = views // 2
    expected = f"an order of {half} to {2 * half - 1}, one a line"
    try:
        targets = [int(line) for line in path.read_text().split()]
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} can't be used ({error}); expected {expected}; restore it") from error
    if sorted(targets) != list(range(half, 2 * half)):
        strange = sorted({row for row in targets if not half <= row < 2 * half or targets.count(row) > 1})[:5]
        told = f"among them {', '.join(map(str, strange))}" if strange else f"and rows are {views}"
        raise DatasetError(
            f"{path} has {len(targets)} rows, {told}; expected {expected}, the second half of each person's {views} views; "
            "restore it, or remove it to draw another"
        )
    return targets


def drawn(views: int, seed: int) -> list[int]:
    """The second half of so many rows in a random order."""
    half = views // 2
    return (half + torch.randperm(half, generator=torch.Generator().manual_seed(seed))).tolist()


def ranks(subject: Int[Tensor, "n"]) -> Int[Tensor, "n"]:
    """How many samples of the same person come before each; persons stand one behind the other."""
    counts = subject.bincount()
    return torch.arange(len(subject)) - (counts.cumsum(0) - counts)[subject]


def write_targets(path: Path, targets: Sequence[int]) -> bool:
    """Store a list, whole or not at all; False where that can't be: the seed gives it again."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text("".join(f"{row}\n" for row in targets))
        os.replace(aside, path)
    except OSError:
        with suppress(OSError):  # of a folder that is none
            aside.unlink()
        return False
    return True


def index_pairs(
    subject: Int[Tensor, "n"], row: Int[Tensor, "n"], views: Mapping[str, int], targets: Sequence[int], split: str
) -> Int[Tensor, "p 2"]:
    """Numbers of samples, (input, target), person by person; without pairs of which a view was left out.

    Args:
        subject, row: of each sample, the number of its person and the row in its file.
        views: rows of each person's file.
        targets: see `targets_of`.
        split: for messages.

    Raises:
        DatasetError: people have different numbers of views.
    """
    counts = set(views.values())
    if len(counts) > 1:
        few, many = (min(views, key=views.__getitem__), max(views, key=views.__getitem__))
        raise DatasetError(
            f"{few} has {views[few]} views and {many} {views[many]} in split {split}; expected as many of each person, whose "
            "rows are paired alike; fetch the files again, or leave people out with subjects"
        )
    width = max(counts)
    place = torch.full((len(views), width), -1)
    place[subject, row] = torch.arange(len(row))
    found = torch.stack([place[:, : len(targets)], place[:, torch.tensor(targets, dtype=torch.long)]], -1).flatten(0, 1)
    return found[(found >= 0).all(1)]
