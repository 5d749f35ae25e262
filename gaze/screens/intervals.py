"""How sure figures of points are: what they could have been with other users."""

from __future__ import annotations

from dataclasses import replace

from gaze.bootstrap import Interval
from gaze.people_intervals import over_people
from gaze.screens.figures import measures
from gaze.screens.rows import PointRows


def intervals(rows: PointRows, resamples: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of every figure, by `gaze.people_intervals.over_people`."""
    return over_people(lambda subject: measures(replace(rows, subject=subject)), rows.subject, resamples, seed)
