"""The table that every reader of faces gives: one row per picture, with labels in the one convention of gaze/geometry.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.faults import Fault

SPLITS = ("train", "val", "test")
UNUSED = "unused"  # context of clips, never a sample
UNLABELLED = "unlabelled"  # published without gaze: for predictions that a server scores
ATTRIBUTE = "attribute."  # what columns of further facts begin with
SOURCE = "source"  # column of a copy: the path that the picture had where it was copied from


def _numbers(count: int) -> pa.DataType:
    return pa.list_(pa.field("element", pa.float64()), count)


INDEX = pa.schema(
    {
        "dataset": pa.string(),
        "subject": pa.string(),  # unique within the data set; the unit of splits
        "session": pa.string(),  # of one recording, unique within the subject; empty: unknown
        "frame": pa.int64(),  # number within the recording; -1 unknown
        "split": pa.string(),  # train, val, test, unused or unlabelled; empty where the data set does not say
        "path": pa.string(),  # what the reader finds the picture by
        "file": pa.string(),  # of the label, with its row
        "row": pa.int64(),
        "gaze": _numbers(3),  # camera frame; as stored, so not always of unit length; NaN: no label
        "head": _numbers(2),  # pitch, yaw in radians; NaN unknown, as in the next two
        "angles": _numbers(2),  # pitch, yaw that the files give beside the vector
        "normalisation": _numbers(9),  # row by row, as stored
        "mirrored": pa.bool_(),
        "detected": pa.bool_(),  # is the face's box known?
    }
)


@runtime_checkable
class Faces(Protocol):
    """A data set of faces as its authors store it. Opening one reads no picture."""

    name: str
    root: str
    normalised: bool  # were pictures warped to one virtual camera? Cropping those would change their labels

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per picture, with the columns of `INDEX` at least, and what could not be read."""
        ...

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture that the index calls so, RGB; raises ImageError."""
        ...

    def stored(self, path: str) -> bytes | None:
        """The bytes of the picture's own file, if it has one; raises ImageError."""
        ...

    def missing(self, paths: Sequence[str]) -> dict[str, str]:
        """What is wrong with some of these pictures, as far as one can tell without opening them all."""
        ...

    def clusters(self) -> list[list[str]]:
        """Subjects of each published fold; empty where there are none."""
        ...


def index_table(count: int, **columns: Any) -> pa.Table:
    """The table of these columns, with what is unknown in the others."""
    empty: dict[str, Any] = {"session": "", "split": "", "frame": -1, "row": -1, "mirrored": False, "detected": True}
    arrays: dict[str, pa.Array] = {}
    for field in INDEX:
        given = columns.pop(field.name, None)
        if pa.types.is_fixed_size_list(field.type):
            size = field.type.list_size
            values = np.full((count, size), np.nan) if given is None else np.asarray(given, dtype=np.float64)
            arrays[field.name] = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=field.type)
        else:
            cells = empty.get(field.name, "") if given is None else given
            cells = [cells] * count if isinstance(cells, str | int | bool) else cells
            arrays[field.name] = pa.array(cells, type=field.type)
    return pa.table(arrays | {name: pa.array(values, type=pa.string()) for name, values in columns.items()})


def numbers(table: pa.Table, name: str) -> Float[np.ndarray, "n c"]:
    """A column of lists as one array."""
    column = table[name].combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1).copy()


def words(table: pa.Table, name: str) -> np.ndarray:
    """A column of words as an array of objects."""
    return np.array(table[name].to_pylist(), dtype=object)


def people(table: pa.Table) -> np.ndarray:
    """Names of subjects that are unique over data sets, as mpiifacegaze/p00."""
    return words(table, "dataset") + "/" + words(table, "subject")


def with_numbers(table: pa.Table, name: str, values: Float[np.ndarray, "n c"]) -> pa.Table:
    """The table with another column of lists."""
    type_ = INDEX.field(name).type
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=type_)
    return table.set_column(table.column_names.index(name), name, column)


def place(table: pa.Table, row: int) -> str:
    """Where a row's label stands: file and row."""
    return f"{table['file'][row].as_py()}:{table['row'][row].as_py()}"


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of several data sets; what one does not tell is null."""
    return pa.concat_tables(tables, promote_options="default").combine_chunks()


def by_number(names: Iterable[str]) -> list[str]:
    """Different names in the order of the numbers in them: p2 before p10."""
    return sorted(set(names), key=lambda name: [(int(p), "") if p.isdigit() else (0, p) for p in _parts(name)])


def _parts(name: str) -> list[str]:
    return re.split(r"(\d+)", name)
