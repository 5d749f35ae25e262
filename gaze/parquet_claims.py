"""What speaks against reading a Parquet file: rows and words that unfold far beyond what it holds."""

from __future__ import annotations

import os
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HARMLESS = 1 << 28  # bytes of a column in a row group
MOST_RATIO = 200  # of what a column takes to what it was packed into
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}  # bytes
MOST_WORDS = 1 << 32  # bytes of words or pictures in a row group


def parquet_claim(path: str | os.PathLike[str]) -> str | None:
    """Why a file is not to be trusted; None if nothing speaks against it. No row is unfolded for it.

    A value that repeats is stored once, with a count: a few kilobytes can be a billion rows.

    Raises:
        ArrowInvalid, OSError: it is no Parquet file.
    """
    facts = os.stat(path)
    return _claim(os.fspath(path), facts.st_size, facts.st_mtime_ns)


@lru_cache(256)
def _claim(path: str, size: int, changed_ns: int) -> str | None:
    with pq.ParquetFile(path, memory_map=True) as file:
        claim, words = metadata_claim(file.metadata, file.schema_arrow, size)
    if claim is not None or not words:
        return claim
    with pq.ParquetFile(path, memory_map=True, read_dictionary=words) as file:
        return words_claim(file, words)


def metadata_claim(about: pq.FileMetaData, schema: pa.Schema, size: int) -> tuple[str | None, list[str]]:
    """Why a file of so many bytes is not to be trusted, and the columns of words that `words_claim` has to look at."""
    if about.num_rows > size:
        return f"it claims {about.num_rows} rows in {size} bytes", []
    suspects: set[str] = set()
    widths = [
        _WIDTHS.get(about.schema.column(n).physical_type, about.schema.column(n).length)
        for n in range(len(about.schema))
    ]
    lists = {f.name: _width(f.type) for f in schema if pa.types.is_fixed_size_list(f.type)}
    for group in map(about.row_group, range(about.num_row_groups)):
        for number, column in enumerate(map(group.column, range(group.num_columns))):
            name, packed = column.path_in_schema, column.total_compressed_size
            # Equal values are stored once with a count, and of a list that is missing nothing is
            unfolded = max(column.num_values * widths[number], group.num_rows * lists.get(name.split(".")[0], 0))
            claimed = max(column.total_uncompressed_size, unfolded)
            if claimed > max(HARMLESS, MOST_RATIO * packed):
                return f"{name} claims {claimed} bytes and holds {packed}", []
            shared = column.has_dictionary_page and column.physical_type == "BYTE_ARRAY"
            if shared and group.num_rows * column.total_uncompressed_size > MOST_WORDS:
                suspects.add(name)
    return None, [name for name in sorted(suspects) if _plain(schema, name)]


def _width(kind: pa.DataType) -> int:
    """Bytes of a value in memory, as far as its type tells; lists of any length count as nothing."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_width(field.type) for field in kind)
    if pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind):
        return max(1, int(kind.bit_width) // 8)
    return 0 if pa.types.is_nested(kind) else 4  # words: where they begin


def _plain(schema: pa.Schema, name: str) -> bool:
    """Is this column read as one word after the other, and not as numbers of words?"""
    return name in schema.names and not pa.types.is_dictionary(schema.field(name).type)


def words_claim(file: pq.ParquetFile, words: list[str]) -> str | None:
    """Whether columns take too much, by how often each word is meant; the file reads them as dictionaries."""
    for name in words:
        for group in range(file.num_row_groups):
            total = 0
            for chunk in file.read_row_group(group, columns=[name]).column(name).chunks:
                lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
                total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
            if total > MOST_WORDS:
                return f"{name} unfolds to {total} bytes"
    return None
