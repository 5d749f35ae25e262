"""How sure figures are: what they could have been with other people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.bootstrap import AT_ONCE, LEVEL, Interval
from gaze.measures import Measure


def over_people(
    measures: Callable[[Int[Tensor, "n"]], Iterable[Measure]],
    subject: Int[Tensor, "n"],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """95 % intervals of every figure: percentiles of the bootstrap (Efron, 1979) over people.

    Frames of one person are alike, so people are drawn, each with all frames. Frames of nobody known are
    drawn one by one. No interval where a figure is NaN or rests on one person.

    Args:
        measures: of frames, told whose each is.
        subject: whose frame each is; -1 unknown.
    """
    if not resamples or not len(subject):
        return {}
    nobody = subject < 0
    subject = torch.where(nobody, subject.max() + 1 + nobody.cumsum(0), subject)
    people = subject.unique()
    drawn = _drawn(len(people), resamples, seed)
    found = {}
    for measure in measures(subject):
        if len(measure.subject.unique()) > 1 and not math.isnan(measure.figure()):
            found[measure.name] = _ends(torch.cat(list(_redone(measure, people, drawn))))
    return found


def _drawn(people: int, resamples: int, seed: int) -> Float[Tensor, "r p"]:
    """How often each person is in each resample."""
    chosen = torch.randint(people, (resamples, people), generator=torch.Generator().manual_seed(seed))
    times = torch.zeros(chosen.shape, dtype=torch.float64)
    return times.scatter_add_(1, chosen, torch.ones_like(times))


def _redone(measure: Measure, people: Int[Tensor, "p"], drawn: Float[Tensor, "r p"]) -> Iterator[Float[Tensor, "some"]]:
    """The figure of each resample, some resamples at a time."""
    few, stands_for = measure.by_user()
    number = torch.searchsorted(people, few.subject)
    for times in drawn.split(max(1, AT_ONCE // few.n)):
        yield few.over(times[:, number] * stands_for)


def _ends(values: Float[Tensor, "r"]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = values.nanquantile(torch.tensor([tail, 1 - tail], dtype=values.dtype)).tolist()
    return low, high
