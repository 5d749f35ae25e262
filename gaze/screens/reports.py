"""The reports of an evaluation, all made from the table of predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from gaze.bootstrap import Interval
from gaze.screens.figures import figures
from gaze.screens.intervals import intervals
from gaze.screens.table import OURS, points_in, rows_in, write_csv

PARTS = ("subject", "device", "kind", "orientation")


def summary(
    table: pa.Table, resamples: int = 1000, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Figures and intervals by the name of whose points they are: the model's, and every baseline's."""
    found, ends = {}, {}
    for name in points_in(table):
        rows = rows_in(table, name)
        if rows.point.isfinite().all(-1).any():  # a screen centre that nobody knows is no baseline
            found[name], ends[name] = figures(rows), intervals(rows, resamples, seed)
    return found, ends


def part_table(table: pa.Table, part: str) -> pa.Table:
    """The model's figures for each value of a column, with the number of frames; rows in the order of the values."""
    found = []
    for value in sorted(set(table[part].to_pylist()), key=str):
        frames = table.filter(pc.equal(table[part], value))
        found.append({part: value, "n": len(frames), **figures(rows_in(frames, OURS))})
    names = dict.fromkeys(name for row in found for name in row)
    return pa.table({name: [row.get(name) for row in found] for name in names})


def write_reports(
    table: pa.Table, folder: Path, about: Mapping[str, str], resamples: int = 1000, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Write summary.csv and a file for each kind of part; return the figures and intervals of `summary`.

    Args:
        about: repeated in every row of the summary, such as split, model and commit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, ends = summary(table, resamples, seed)
    rows = []
    for name, row in found.items():
        for metric, value in row.items():
            low, high = ends[name].get(metric, (math.nan, math.nan))
            rows.append(
                {
                    "points": name,
                    "metric": metric,
                    "value": value,
                    "ci_lo": low,
                    "ci_hi": high,
                    "n": len(table),
                    **about,
                }
            )
    write_csv(pa.Table.from_pylist(rows), folder / "summary.csv")
    for part in PARTS:
        write_csv(part_table(table, part), folder / f"per_{part}.csv")
    return found, ends
