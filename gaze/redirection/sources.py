"""Which sample is meant: a view of a file, a number of a split, or all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import DatasetError
from gaze.datasets.head_views import NO_CORRECTION
from gaze.datasets.splits import draw
from gaze.errors import UserError
from gaze.types import Batch, FaceInputs

ALL = "all"
SPLITS = ("train", "val", "test")
OpenSplit = Callable[..., Dataset]


def check_heads(data: Dataset, run: str) -> None:
    """See that samples are heads to redirect.

    Raises:
        UserError: they are of another task.
    """
    found = type(data[0].inputs).__name__
    if found != FaceInputs.__name__:
        raise UserError(
            f"run={run} is of another task: its samples hold {found}; expected a run of a model that redirects heads, such as "
            "model=gazegaussian"
        )


def find_source(source: str, split: str, open_split: OpenSplit) -> tuple[Dataset, list[int]]:
    """The split that has the source, and its numbers there.

    Args:
        source: FILE#ROW, a number of a sample, or "all".
        split: where numbers count, and where views are looked for first.
        open_split: opens a split by `split=`.

    Raises:
        UserError: there is no such file, view or sample.
    """
    source = str(source)
    file, mark, row = source.rpartition("#")
    if mark:
        return _view(file, row, source, split, open_split)
    data = open_split(split=split)
    if source == ALL:
        return data, list(range(len(data)))
    if not re.fullmatch(r"\d+", source):
        raise UserError(
            f"source={source!r}; expected FILE.h5#ROW, the number of a sample of the split {split} (0 to {len(data) - 1}), or "
            f"{ALL}"
        )
    if int(source) >= len(data):
        raise UserError(
            f"source={source} is beyond the end: the split {split} has {len(data)} samples, 0 to {len(data) - 1}"
        )
    return data, [int(source)]


def uncorrected(inputs: FaceInputs) -> FaceInputs:
    """Inputs without the corrections that the model learnt for a training sample: numbers mean nothing in another data set."""
    return replace(inputs, sample=torch.full_like(inputs.sample, NO_CORRECTION))


class Uncorrected(Dataset):
    """The samples of another data set than the model's own; see `uncorrected`.

    Args:
        open_split: opens a split of it.
    """

    def __init__(self, open_split: OpenSplit, split: str) -> None:
        self.data = open_split(split=split)
        self.name, self.group = self.data.name, self.data.group  # type: ignore[method-assign]

    def __len__(self) -> int:
        return len(self.data)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch:
        """Sample `index`; see `Dataset.sample`."""
        sample = self.data.sample(index, generator)
        return replace(sample, inputs=uncorrected(sample.inputs)) if isinstance(sample.inputs, FaceInputs) else sample


def few(data: Dataset, indices: list[int], people: int | None, each: int | None) -> list[int]:
    """Some samples of some people: as many as asked for, always the same ones, by a hash of their names.

    Args:
        people: how many; None: all.
        each: samples of each of them; None: all.

    Raises:
        UserError: there are fewer.
    """
    of: dict[Hashable, list[int]] = {}
    for index in indices:
        of.setdefault(data.group(index), []).append(index)
    if people is not None and not 0 < people <= len(of):
        raise UserError(f"few.people is {people}; expected 1 to {len(of)}, the people of the source")
    least = min(map(len, of.values()))
    if each is not None and not 0 < each <= least:
        raise UserError(f"few.pictures is {each}; expected 1 to {least}, what everybody has at least")
    kept = sorted(of, key=lambda person: draw(str(person)))[:people]
    chosen = [i for person in kept for i in sorted(of[person], key=lambda i: draw(data.name(i)))[:each]]
    return sorted(chosen)


def _view(file: str, row: str, source: str, split: str, open_split: OpenSplit) -> tuple[Dataset, list[int]]:
    if not row.isdigit():
        raise UserError(f"source={source!r}: {row!r} is no row; expected FILE.h5#ROW, rows counted from 0")
    known = 0
    for data in _opened(split, open_split):
        rows = {}
        for index in range(len(data)):
            name, _, number = data.name(index).rpartition("#")
            if Path(name).name.removesuffix(".h5") == Path(file).name.removesuffix(".h5"):
                rows[int(number)] = index
        if int(row) in rows:
            return data, [rows[int(row)]]
        known = max(known, 1 + max(rows, default=-1))
    if known:
        raise UserError(
            f"source={source} is beyond the end or left out: {file} has rows 0 to {known - 1} in this data set"
        )
    there = "is no person of this data set" if Path(file).exists() else "is not there"
    raise UserError(f"source={source}: {file} {there}; give a file of the data set, or its folder with root=FOLDER")


def _opened(split: str, open_split: OpenSplit) -> Iterator[Dataset]:
    """The split, then the others that there are."""
    yield open_split(split=split)
    for other in SPLITS:
        if other != split:
            try:
                yield open_split(split=other)
            except DatasetError:
                continue
