"""The reports of an evaluation, all made from the table of predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from gaze.bootstrap import Interval
from gaze.screens.figures import figures, named
from gaze.screens.intervals import intervals
from gaze.screens.table import LEFT_OUT, OURS, points_in, rows_in, unit_of, write_csv

PARTS = ("subject", "device", "kind", "orientation")


def summary(
    table: pa.Table, resamples: int = 1000, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Figures and intervals by the name of whose points they are: the model's, and every baseline's."""
    found, ends = {}, {}
    for name in points_in(table):
        rows = rows_in(table, name)
        if rows.point.isfinite().all(-1).any():  # a screen centre that nobody knows is no baseline
            found[name] = figures(rows, unit_of(table))
            ends[name] = intervals(rows, resamples, seed, unit_of(table))
    return found, ends


def part_table(table: pa.Table, part: str) -> pa.Table:
    """The model's figures for each value of a column, with the number of frames; rows in the order of the values."""
    found = []
    for value in sorted(set(table[part].to_pylist()), key=str):
        frames = table.filter(pc.equal(table[part], value))
        found.append({part: value, "n": len(frames), **figures(rows_in(frames, OURS), unit_of(table))})
    names = dict.fromkeys(name for row in found for name in row)
    return pa.table({name: [row.get(name) for row in found] for name in names})


def fold_rows(table: pa.Table) -> pa.Table:
    """What was left out in turn: number of frames and people, and the error of every predicted point.

    The error is the mean over people of each one's mean: for a single person, theirs.
    """
    error = named("subject_error_cm", unit_of(table))
    found = []
    for value in sorted(set(table[LEFT_OUT].to_pylist())):
        frames = table.filter(pc.equal(table[LEFT_OUT], value))
        errors = {name: figures(rows_in(frames, name), unit_of(table))[error] for name in points_in(table)}
        people = len(set(frames["subject"].to_pylist()))
        found.append({LEFT_OUT: value, "n": len(frames), "people": people, **errors})
    return pa.Table.from_pylist(found)


def write_reports(
    table: pa.Table, folder: Path, about: Mapping[str, str], resamples: int = 1000, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Write summary.csv and a file for each kind of part, folds among them; return the figures and intervals of `summary`.

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
    if LEFT_OUT in table.column_names:
        write_csv(fold_rows(table), folder / f"per_{LEFT_OUT}.csv")
    return found, ends
