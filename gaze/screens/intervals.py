"""How sure figures of points are: what they could have been with other users."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.bootstrap import AT_ONCE, LEVEL, Interval
from gaze.screens.figures import Measure, measures
from gaze.screens.rows import PointRows


def intervals(rows: PointRows, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of every figure: percentiles of the bootstrap (Efron, 1979) over users.

    Frames of one person are alike, so people are drawn, each with all frames. Frames of nobody known are
    drawn one by one. No interval where a figure is NaN or rests on one user.
    """
    if not resamples or not len(rows):
        return {}
    nobody = rows.subject < 0
    subject = torch.where(nobody, rows.subject.max() + 1 + nobody.cumsum(0), rows.subject)
    users = subject.unique()
    drawn = _drawn(len(users), resamples, seed)
    found = {}
    for measure in measures(replace(rows, subject=subject)):
        if len(measure.subject.unique()) > 1 and not math.isnan(measure.figure()):
            found[measure.name] = _ends(torch.cat(list(_redone(measure, users, drawn))))
    return found


def _drawn(users: int, resamples: int, seed: int) -> Float[Tensor, "r u"]:
    """How often each user is in each resample."""
    chosen = torch.randint(users, (resamples, users), generator=torch.Generator().manual_seed(seed))
    times = torch.zeros(chosen.shape, dtype=torch.float64)
    return times.scatter_add_(1, chosen, torch.ones_like(times))


def _redone(measure: Measure, users: Int[Tensor, "u"], drawn: Float[Tensor, "r u"]) -> Iterator[Float[Tensor, "p"]]:
    """The figure of each resample, some resamples at a time."""
    few, stands_for = measure.by_user()
    number = torch.searchsorted(users, few.subject)
    for times in drawn.split(max(1, AT_ONCE // few.n)):
        yield few.over(times[:, number] * stands_for)


def _ends(values: Float[Tensor, "r"]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = values.nanquantile(torch.tensor([tail, 1 - tail], dtype=values.dtype)).tolist()
    return low, high
