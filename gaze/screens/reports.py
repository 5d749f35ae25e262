"""The reports of an evaluation, all made from the table of predictions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from gaze.bootstrap import Interval
from gaze.screens.figures import figures, measures, named
from gaze.screens.intervals import intervals
from gaze.screens.rows import unit_of
from gaze.screens.table import LEFT_OUT, OURS, facts_in, rows_by_name, write_csv

PARTS = ("subject", "device", "kind", "orientation")
FLOATS = ("value", "ci_lo", "ci_hi")


class Found(NamedTuple):
    """A figure, with what it rests on."""

    value: float  # NaN where prediction failed
    interval: Interval | None
    n: int  # frames, fixations or users


def summary(table: pa.Table, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, Found]]:
    """What was found, by the name of whose points they are (the model's, and every baseline's) and the figure's."""
    found = {}
    for name, rows in rows_by_name(table).items():
        ends = intervals(rows, resamples, seed)
        found[name] = {m.name: Found(m.figure(), ends.get(m.name), m.n) for m in measures(rows) if m.n}
    return found


def part_table(table: pa.Table, part: str, resamples: int = 1000, seed: int = 0) -> pa.Table:
    """The figures of the frames with each value of a column, the model's and all baselines'; in the order of the values.

    Columns are those of summary.csv, after the value.
    """
    about, rows = facts_in(table), list[dict[str, object]]()
    for value in sorted(set(table[part].to_pylist()), key=str):
        frames = table.filter(pc.equal(table[part], value))
        rows += [{part: value, **row} for row in long_rows(summary(frames, resamples, seed), about)]
    return long_table(rows)


def fold_rows(table: pa.Table) -> pa.Table:
    """Whom or what the runs left out in turn: number of frames and people, and the error of every predicted point.

    The error is the mean over people of each one's mean: for a single person, theirs.
    """
    found = []
    for value in sorted(set(table[LEFT_OUT].to_pylist())):
        frames = table.filter(pc.equal(table[LEFT_OUT], value))
        rows = rows_by_name(frames)
        error = named("subject_error_cm", unit_of(rows[OURS]))
        errors = {name: figures(points)[error] for name, points in rows.items()}
        people = len(set(frames["subject"].to_pylist()))
        found.append({LEFT_OUT: value, "n": len(frames), "people": people, **errors})
    names = dict.fromkeys(name for row in found for name in row)
    return pa.table({name: [row.get(name) for row in found] for name in names})


def write_reports(table: pa.Table, folder: Path, resamples: int = 1000, seed: int = 0) -> dict[str, dict[str, Found]]:
    """Write summary.csv and a file for each kind of part, with the table's facts in each row; return the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    found = summary(table, resamples, seed)
    write_csv(long_table(long_rows(found, facts_in(table))), folder / "summary.csv")
    for part in PARTS:
        write_csv(part_table(table, part, resamples, seed), folder / f"per_{part}.csv")
    if LEFT_OUT in table.column_names:
        write_csv(fold_rows(table), folder / f"per_{LEFT_OUT}.csv")
    return found


def long_rows(
    found: Mapping[str, Mapping[str, Found]], about: Mapping[str, str], whose: str = "points"
) -> list[dict[str, object]]:
    """A row for each figure of each name: the column that is called `whose`, what it rests on, and these facts."""
    rows = list[dict[str, object]]()
    for points, row in found.items():
        for metric, (value, interval, n) in row.items():
            low, high = interval or (None, None)
            numbers = {"value": value, "ci_lo": low, "ci_hi": high, "n": n}
            rows.append({whose: points, "metric": metric, **numbers, **about})
    return rows


def long_table(rows: list[dict[str, object]]) -> pa.Table:
    """The rows as a table; numbers stay floats where all are empty."""
    names = list(rows[0]) if rows else []
    kinds = dict.fromkeys(FLOATS, pa.float64())
    return pa.table({name: pa.array([row[name] for row in rows], kinds.get(name)) for name in names})
