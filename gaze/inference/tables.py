"""Tables of predictions on a video: a row for each person and frame, written while the video is read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from gaze.errors import UserError

# Pixels count from the top left corner of the top left pixel. What is not known is empty (null).
PERSON = (
    ("frame", pa.int64()),  # from 0
    ("time_s", pa.float64()),
    ("person", pa.int64()),
    *((name, pa.float64()) for name in ("x0", "y0", "x1", "y1")),  # head, px
)
SCENE = (
    *((name, pa.float64()) for name in ("gaze_x", "gaze_y", "gaze_x_smooth", "gaze_y_smooth")),  # px
    ("peak", pa.float64()),  # highest probability of the heatmap
    ("inout", pa.float64()),  # probability that the target is in the frame
)
SCHEMA = pa.schema([*PERSON, *SCENE])
ROWS = 8192  # of a parquet row group: what is held in memory
NOTHING = (None,) * 4


class Table(Protocol):
    """A file that rows are appended to."""

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows, with the columns of the table's schema."""
        ...

    def __enter__(self) -> Table: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class CSVTable:
    """Text: a header, a line for each row, nothing between the commas where a value is missing."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        self.file = path.open("w", newline="", encoding="utf-8")
        self.rows = csv.DictWriter(self.file, schema.names, lineterminator="\n")
        self.rows.writeheader()

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows.writerows(rows)

    def __enter__(self) -> CSVTable:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class ParquetTable:
    """Apache Parquet, in row groups of `ROWS`."""

    def __init__(self, path: Path, schema: pa.Schema = SCHEMA) -> None:
        self.schema, self.writer = schema, pq.ParquetWriter(path, schema)
        self.waiting: list[Mapping[str, Any]] = []

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.waiting.extend(rows)
        if len(self.waiting) >= ROWS:
            self._write()

    def _write(self) -> None:
        self.writer.write_table(pa.Table.from_pylist(self.waiting, self.schema))
        self.waiting = []

    def __enter__(self) -> ParquetTable:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self.waiting:
            self._write()
        self.writer.close()


FORMATS: dict[str, Callable[[Path, pa.Schema], Table]] = {
    "csv": CSVTable,
    "parquet": ParquetTable,
}  # by the ending of the file


def check_formats(tables: Any) -> list[str]:
    """Formats of tables that can be written, each once.

    Raises:
        UserError: there is one that cannot.
    """
    names = [tables] if isinstance(tables, str) else [*(tables or ())]
    for name in names:
        if name not in FORMATS:
            raise UserError(f"tables has {name!r}; expected formats out of {', '.join(FORMATS)}, or tables=[] for none")
    return list(dict.fromkeys(names))


def rows_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one frame: a record of results.json, flat."""
    rows = [[*person_cells(record, person), *scene_cells(person)] for person in record["people"]]
    return [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]


def person_cells(record: Mapping[str, Any], person: Mapping[str, Any]) -> list[Any]:
    """The columns of `PERSON`."""
    return [record["frame"], record["time_s"], person["person"], *(person["head_bbox_px"] or NOTHING)]


def scene_cells(person: Mapping[str, Any]) -> list[Any]:
    """The columns of `SCENE`."""
    smooth = person["gaze_smooth_px"] or NOTHING[:2]
    return [*person["gaze_px"], *smooth, person["peak_probability"], person["inout_probability"]]
