"""Everything that is wrong with a table, or with the rows of one about to be written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gaze.devices import Device
from gaze.errors import UserError
from gaze.recordings import lag_features
from gaze.recordings.checks import CHECKS, Check, columns, failing
from gaze.recordings.columns import flags, numbers, words
from gaze.recordings.lag import Lag, label_lag
from gaze.recordings.reading import ROW, RowReader, read_columns, table_files
from gaze.recordings.schema import SCHEMA, STREAMS, open_file
from gaze.recordings.units import likely_units

POLICIES = ("raise", "drop", "keep")
EXAMPLES = 3
LAG_RECORDINGS = 20  # of a table that are looked at
LAG_FRAMES = 400  # of each
PICTURES = {f"{stream}_bytes" for stream in ("frame", *STREAMS)}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with some rows, as a sentence."""

    name: str
    severe: bool  # such rows must not be trained on
    rows: int
    of: int
    found: str
    do: str
    examples: Sequence[str] = ()

    def __str__(self) -> str:
        rows = f"{self.rows:,} of {self.of:,} rows" if self.of else "the table"
        examples = f" (as {', '.join(self.examples)})" if self.examples else ""
        return f"{rows}: {self.found}{examples}; {self.do}"


class InvalidRows(UserError):
    """Rows that must not be trained on, where that was asked to be an error."""


@dataclass
class Tally:
    """Findings of checks, added up over pieces of a table."""

    rows: int = 0
    count: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    units: Counter[tuple[str, str]] = field(default_factory=Counter)  # (recording, unit) -> rows out of range

    def look(self, table: pa.Table, devices: Mapping[str, Device]) -> None:
        """Add a piece; only rows that claim to be valid count."""
        table = table.filter(pa.array(flags(table, "valid")))
        self.rows += len(table)
        for check, bad in failing(table, devices):
            where = np.flatnonzero(bad)
            if len(where):
                self.count[check.name] += len(where)
                seen = self.examples.setdefault(check.name, [])
                seen += [table["sample_id"][int(i)].as_py() for i in where[: EXAMPLES - len(seen)]]
        recordings = words(table, "recording")
        for recording, unit in likely_units(table).items():
            self.units[recording, unit] += int((recordings == recording).sum())

    def findings(self) -> list[Finding]:
        """One per check that found something, and one per unit that labels seem to be in."""
        found = [
            Finding(c.name, c.severe, self.count[c.name], self.rows, c.found, c.do, self.examples[c.name])
            for c in CHECKS
            if self.count[c.name]
        ]
        for unit in dict.fromkeys(unit for _, unit in self.units):
            rows = sum(count for (_, u), count in self.units.items() if u == unit)
            where = [recording for recording, u in self.units if u == unit]
            told, _, do = f"the labels of {len(where)} recordings seem to be {unit}".partition("; ")
            found.append(Finding("label unit", True, rows, self.rows, told, do, where[:EXAMPLES]))
        return found


def refusals(table: pa.Table, devices: Mapping[str, Device]) -> list[str | None]:
    """For each row why it must not be trained on, by the first severe check that refuses it, or None.

    A unit that would explain labels out of range is named, where all rows of a recording are given at once.
    """
    reasons: list[str | None] = [None] * len(table)
    unit = likely_units(table)
    recordings = words(table, "recording")
    for check, bad in failing(table, devices):
        for row in np.flatnonzero(bad).tolist() if check.severe else []:
            reasons[row] = reasons[row] or check.name + _hint(check, unit.get(recordings[row]))
    return reasons


def validate(path: Path | str, devices: Mapping[str, Device], lag_reach: int = 5) -> list[Finding]:
    """Everything that is wrong with a table.

    Args:
        path: a Parquet file or a folder of them.
        devices: by name, as `load_devices` gives them.
        lag_reach: frames that labels are moved at most, to see whether they fit better; 0 to pass over it.

    Raises:
        UserError: it is not a table of recordings.
    """
    tally = Tally()
    for piece in pieces(Path(path)):
        tally.look(piece, devices)
    table = read_columns(path, ["sample_id", "subject", "recording", "split", "frame", "timestamp_s", "valid"])
    found = [*_shared_subjects(table), *_duplicates(table), *tally.findings()]
    return found + (_lags(path, table, lag_reach) if lag_reach else [])


def pieces(path: Path) -> Iterator[pa.Table]:
    """What checks need, a row group at a time; of pictures only whether they are there, mostly from statistics."""
    needed = ["sample_id", "recording", "valid", "screen_w_pt", "screen_h_pt", *columns()]
    names = [name for name in dict.fromkeys(needed) if name not in PICTURES]
    for file in table_files(path):
        with open_file(file) as opened:
            for group in range(opened.num_row_groups):
                table = opened.read_row_group(group, columns=names)
                for name in sorted(PICTURES):
                    table = table.append_column(SCHEMA.field(name), _presence(opened, group, name, len(table)))
                yield table


def _presence(file: pq.ParquetFile, group: int, name: str, rows: int) -> pa.Array:
    """Empty bytes where a picture is, null where none is; read only where a row group has both."""
    row_group = file.metadata.row_group(group)
    column = next(c for c in map(row_group.column, range(row_group.num_columns)) if c.path_in_schema == name)
    nulls = column.statistics.null_count if column.statistics and column.statistics.has_null_count else None
    if nulls in (0, rows):
        return pa.array([b"" if nulls == 0 else None] * rows, pa.binary())
    missing = file.read_row_group(group, columns=[name])[name].is_null().to_pylist()
    return pa.array([None if m else b"" for m in missing], pa.binary())


def _hint(check: Check, unit: str | None) -> str:
    return f"; the labels seem to be {unit.split(';')[0]}" if unit and check.name == "label out of range" else ""


def _shared_subjects(table: pa.Table) -> list[Finding]:
    splits: dict[str, set[str]] = {}
    pairs = {*zip(words(table, "subject").tolist(), words(table, "split").tolist(), strict=True)}
    for subject, split in pairs:
        if split in ("train", "val", "test"):
            splits.setdefault(subject, set()).add(split)
    shared = sorted(subject for subject, names in splits.items() if len(names) > 1)
    if not shared:
        return []
    rows = int(np.isin(words(table, "subject"), shared).sum())
    told = f"{len(shared)} subjects are in several of the splits train, val and test"
    do = "each person belongs in one: set subject to the person, or make splits with manifest="
    examples = [f"{subject} in {' and '.join(sorted(splits[subject]))}" for subject in shared[:EXAMPLES]]
    return [Finding("subject in two splits", True, rows, len(table), told, do, examples)]


def _duplicates(table: pa.Table) -> list[Finding]:
    names, counts = np.unique(words(table, "sample_id").astype(str), return_counts=True)
    again = names[counts > 1]
    if not len(again):
        return []
    rows = int(counts[counts > 1].sum())
    do = "sample_id is <dataset>/<recording>/<frame>: number the frames, or name the recordings apart"
    return [
        Finding("duplicate", True, rows, len(table), "several rows have one sample_id", do, again[:EXAMPLES].tolist())
    ]


def _lags(path: Path | str, table: pa.Table, reach: int) -> list[Finding]:
    """Of some recordings, spread over the table."""
    recordings = words(table, "recording")
    names = list(dict.fromkeys(recordings.tolist()))
    chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(len(names), LAG_RECORDINGS)).astype(int))]
    reader = RowReader(path, [*lag_features.COLUMNS, *lag_features.PICTURES], keep=2)
    labels = numbers(read_columns(path, ["gaze_cam_cm"]), "gaze_cam_cm")
    valid = flags(table, "valid")
    found: list[Lag] = []
    for name in chosen:
        rows = table.filter(pa.array((recordings == name) & valid)).sort_by(
            [("timestamp_s", "ascending"), ("frame", "ascending")]
        )
        order = rows[ROW].to_numpy()[:LAG_FRAMES]
        if len(order):
            lag = label_lag(name, lag_features.lag_features(reader, order.tolist()), labels[order], reach)
            found += [lag] if lag else []
    do = "this is an estimate: look at the recordings before you move anything"
    return [Finding("label lag", False, 0, 0, str(lag), do) for lag in found]
