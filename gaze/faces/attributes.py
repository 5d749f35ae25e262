"""Further facts of faces, such as the light that a renderer chose: attributes.csv beside the labels."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa

from gaze.datasets.faults import DatasetError, Fault
from gaze.faces.index import ATTRIBUTE

FILE = "attributes.csv"
FACE = "face"  # the column with the path as the labels have it


def attributes(table: pa.Table, root: Path, faults: list[Fault]) -> tuple[pa.Table, list[Fault]]:
    """The table with a column per attribute, if the folder has any; null where a face is not listed.

    Raises:
        DatasetError: the file has no column of faces.
    """
    path = root / FILE
    if not path.is_file():
        return table, faults
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or FACE not in rows[0]:
        raise DatasetError(
            f"{path}: the header lacks the column {FACE!r}; expected it and one per attribute; write it again"
        )
    known = {row[FACE].replace("\\", "/"): row for row in rows}
    found = [known.get(name) or known.get(name.removeprefix("Image/")) for name in table["path"].to_pylist()]
    for name in (name for name in rows[0] if name and name != FACE):
        values = [row[name] if row and row[name] else None for row in found]
        table = table.append_column(f"{ATTRIBUTE}{name}", pa.array(values, pa.string()))
    return table, faults
