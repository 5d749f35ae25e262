"""Columns of a table as arrays, for checks that look at many rows at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float, Shaped


def numbers(table: pa.Table, *names: str) -> Float[np.ndarray, "n k"]:
    """One or more columns of numbers or lists side by side, in float64; NaN where missing."""
    parts = [_matrix(table[name]) for name in names]
    return np.concatenate(parts, axis=1)


def words(table: pa.Table, name: str) -> Shaped[np.ndarray, "n"]:
    """A column of words; "" where missing."""
    return texts(table[name], "")


def texts(column: pa.ChunkedArray, missing: str | None = None) -> Shaped[np.ndarray, "n"]:
    """A column of words as objects, one for each different word however many rows have it."""
    coded = column.combine_chunks()
    if not pa.types.is_dictionary(coded.type):
        coded = coded.cast(pa.string()).dictionary_encode()
    different = np.array([*coded.dictionary.to_pylist(), missing], dtype=object)
    return different[coded.indices.fill_null(len(different) - 1).to_numpy(zero_copy_only=False)]


def flags(table: pa.Table, name: str) -> Bool[np.ndarray, "n"]:
    """A column of truths; false where missing."""
    return np.asarray(table[name].fill_null(False).to_numpy(), bool)


def absent(table: pa.Table, name: str) -> Bool[np.ndarray, "n"]:
    """Where a column holds nothing: null, or NaN throughout in a list."""
    kind = table.schema.field(name).type
    if pa.types.is_fixed_size_list(kind):
        return np.isnan(numbers(table, name)).all(1)
    return np.asarray(table[name].is_null().to_numpy(), bool)


def _matrix(column: pa.ChunkedArray) -> Float[np.ndarray, "n k"]:
    if pa.types.is_fixed_size_list(column.type):
        flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        values = np.concatenate([np.empty(0), *flat]).astype(np.float64)
        return values.reshape(len(column), column.type.list_size)
    return column.cast(pa.float64()).fill_null(np.nan).to_numpy()[:, None].astype(np.float64)
