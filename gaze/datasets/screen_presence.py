"""Which frames of a table lack a picture, found without decoding any."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int

from gaze.datasets.paths import PathError
from gaze.recordings.reading import table_files
from gaze.recordings.schema import open_file
from gaze.stores.places import Place


def absent(path: Place | str, rows: Int[np.ndarray, "n"], pictures: Sequence[str]) -> dict[int, str]:
    """What is wrong, for each place in `rows` whose frame lacks one of the pictures.

    Row groups whose statistics say that every frame has the picture's bytes cost nothing.

    Args:
        rows: numbers of rows, in order.
        pictures: frame, face, left_eye or right_eye.
    """
    found: dict[int, str] = {}
    start = 0
    for file in table_files(path):
        with open_file(file) as opened:
            for group in range(opened.num_row_groups):
                size = opened.metadata.row_group(group).num_rows
                first, last = np.searchsorted(rows, [start, start + size])
                for picture in pictures if last > first else ():
                    within = rows[first:last] - start
                    for place, what in _lacking(opened, group, picture, within, file.parent).items():
                        found.setdefault(int(first) + place, what)
                start += size
    return found


def _lacking(
    file: pq.ParquetFile, group: int, picture: str, rows: Int[np.ndarray, "n"], folder: Place
) -> dict[int, str]:
    """The same for one picture in one row group."""
    columns = [f"{picture}_path", f"{picture}_bytes"]
    if _nulls(file.metadata.row_group(group), columns[1]) == 0:
        return {}
    paths = file.read_row_group(group, columns=columns[:1])[columns[0]].take(pa.array(rows)).to_pylist()
    lost = {i: f"{p} is not there" for i, p in enumerate(paths) if p is not None and not _there(folder, p)}
    if None not in paths:
        return lost
    empty = pc.is_null(file.read_row_group(group, columns=columns[1:])[columns[1]]).take(pa.array(rows)).to_pylist()
    return lost | {i: f"there is no {picture}" for i, none in enumerate(empty) if none and paths[i] is None}


def _there(folder: Place, relative: str) -> bool:
    try:
        return (folder / relative).exists()
    except PathError:
        return False


def _nulls(group: pq.RowGroupMetaData, name: str) -> int | None:
    column = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema == name)
    return column.statistics.null_count if column.statistics is not None and column.statistics.has_null_count else None
