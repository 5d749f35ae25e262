"""How sure figures of points are: what they could have been with other users."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from gaze.bootstrap import LEVEL, Interval
from gaze.screens.figures import measures, named
from gaze.screens.rows import PointRows


def intervals(rows: PointRows, resamples: int = 1000, seed: int = 0, unit: str = "cm") -> dict[str, Interval]:
    """95 % intervals of every figure: percentiles of the bootstrap (Efron, 1979) over users.

    Frames of one person are alike, so people are drawn, each with all frames. Frames of nobody known are
    drawn one by one. No interval where a figure is NaN or rests on one user. Names are those of `figures`.
    """
    if not resamples or not len(rows):
        return {}
    nobody = rows.subject < 0
    subject = torch.where(nobody, rows.subject.max() + 1 + nobody.cumsum(0), rows.subject)
    users = subject.unique()
    found: dict[str, list[float]] = {}
    numbered = [(m, torch.searchsorted(users, m.subject)) for m in measures(replace(rows, subject=subject))]
    kept = [(m, number) for m, number in numbered if len(number.unique()) > 1 and not math.isnan(m.figure())]
    generator = torch.Generator().manual_seed(seed)
    for _ in range(resamples):
        drawn = torch.randint(len(users), (len(users),), generator=generator)
        times = torch.bincount(drawn, minlength=len(users)).double()
        for measure, number in kept:
            found.setdefault(measure.name, []).append(measure.figure(times[number]))
    return {named(name, unit): _ends(values) for name, values in found.items()}


def _ends(values: list[float]) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = torch.tensor(values, dtype=torch.float64).nanquantile(torch.tensor([tail, 1 - tail]).double()).tolist()
    return low, high
