"""A model's figures on the parts of a split, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gaze.bootstrap import Interval, intervals
from gaze.head_records import HeadRecords
from gaze.subsets import subsets


@dataclass(frozen=True)
class Part:
    """Some heads of a split, and a model's figures over them."""

    kind: str
    name: str
    heads: int
    extent: tuple[float, float] | None  # of what the heads were divided by
    figures: dict[str, float]  # without those that these heads say nothing about
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Breakdown:
    """Intervals of a model's figures over the whole split, and its figures part by part."""

    intervals: dict[str, Interval]
    parts: list[Part]


def as_dicts(breakdowns: Mapping[str, Breakdown]) -> dict[str, Any]:
    """For a JSON file, by the name of the model: the intervals, and what there is to say of each part."""
    if not breakdowns:
        return {}
    parts = {model: _as_dicts(breakdown.parts) for model, breakdown in breakdowns.items()}
    return {"intervals": {model: breakdown.intervals for model, breakdown in breakdowns.items()}, "subsets": parts}


def _as_dicts(parts: Sequence[Part]) -> dict[str, dict[str, dict[str, Any]]]:
    """Kind -> name -> what there is to say."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for part in parts:
        about: dict[str, Any] = {"heads": part.heads}
        if part.extent is not None:
            about["from"], about["to"] = part.extent
        found.setdefault(part.kind, {})[part.name] = about | {"figures": part.figures, "intervals": part.intervals}
    return found


def break_down(
    records: HeadRecords,
    figures: Mapping[str, float],
    kinds: Sequence[str] = (),
    resamples: int = 1000,
    seed: int = 0,
    group: Callable[[int], Hashable] = lambda index: index,
) -> Breakdown:
    """The parts of these kinds, and intervals for those of the model's figures that are about single heads.

    Args:
        figures: the model's, over the whole split; those of its heads that are not among them (such as the
            accuracy of in/out, which tells the two sides of in/out apart) appear in parts only.
        resamples: of the bootstrap; 0 leaves out intervals.
        group: of a sample by its index; the bootstrap draws groups, because what is in one is not independent.
    """
    found = subsets(records, kinds)
    masks = torch.stack([torch.ones(len(records.index)), *(part.mask for part in found)]).double()
    every = torch.ones(1, len(records.index), dtype=torch.float64)
    values = {name: figure.over(every, masks)[0].tolist() for name, figure in records.figures.items()}
    ends = intervals(records.figures, _groups(records.index, group), masks, resamples, seed) if resamples else {}
    told = {name: figure.tells(masks).tolist() for name, figure in records.figures.items()}
    parts = []
    for row, part in enumerate(found, 1):
        names = [name for name in values if told[name][row]]
        parts.append(
            Part(
                part.kind,
                part.name,
                int(part.mask.sum()),
                part.extent,
                {name: values[name][row] for name in names},
                {name: ends[name][row] for name in names if name in ends and _known(ends[name][row])},
            )
        )
    whole = {name: end[0] for name, end in ends.items() if name in figures and _known(end[0])}
    return Breakdown(whole, parts)


def _known(interval: Interval) -> bool:
    return all(map(math.isfinite, interval))


def _groups(index: Int[Tensor, "n"], group: Callable[[int], Hashable]) -> Int[Tensor, "n"]:
    """The number of each head's group."""
    numbers: dict[Hashable, int] = {}
    of_sample = {i: numbers.setdefault(group(i), len(numbers)) for i in index.unique().tolist()}
    return torch.tensor([of_sample[i] for i in index.tolist()], dtype=torch.int64)
