"""A few samples of those who are tested that are trained on: always the same, whatever is left out and wherever they lie."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from gaze.datasets.splits import draw
from gaze.faces.index import SOURCE, words


def shots(table: pa.Table, rows: Int[np.ndarray, "n"], count: int) -> Int[np.ndarray, "m"]:
    """So many of the rows, by a hash of their pictures' names where they were published: a copy draws the same."""
    names = words(table, "path")
    if SOURCE in table.column_names:
        told = words(table, SOURCE)
        names = np.where(told == None, names, told)  # noqa: E711 - of each element
    keys = words(table, "dataset") + "/" + names
    return np.array(sorted(rows.tolist(), key=lambda row: draw(keys[row]))[:count], dtype=np.int64)
