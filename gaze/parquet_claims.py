"""What speaks against reading a Parquet file: rows and words that unfold far beyond what it holds."""

from __future__ import annotations

import os
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HARMLESS = 1 << 28  # bytes of a column in a row group
MOST_RATIO = 200  # of what a column takes to what it was packed into
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
        about = file.metadata
        if about.num_rows > size:
            return f"it claims {about.num_rows} rows in {size} bytes"
        suspects: set[str] = set()
        for group in map(about.row_group, range(about.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                unpacked, packed = column.total_uncompressed_size, column.total_compressed_size
                if unpacked > max(HARMLESS, MOST_RATIO * packed):
                    return f"{column.path_in_schema} claims {unpacked} bytes and holds {packed}"
                shared = column.has_dictionary_page and column.physical_type == "BYTE_ARRAY"
                if shared and group.num_rows * unpacked > MOST_WORDS:
                    suspects.add(column.path_in_schema)
        words = [name for name in sorted(suspects) if _plain(file.schema_arrow, name)]
    return _unfolded(path, words) if words else None


def _plain(schema: pa.Schema, name: str) -> bool:
    """Is this column read as one word after the other, and not as numbers of words?"""
    return name in schema.names and not pa.types.is_dictionary(schema.field(name).type)


def _unfolded(path: str, words: list[str]) -> str | None:
    """Whether columns take too much, by their dictionaries and how often each word is meant."""
    with pq.ParquetFile(path, memory_map=True, read_dictionary=words) as file:
        for name in words:
            for group in range(file.num_row_groups):
                total = 0
                for chunk in file.read_row_group(group, columns=[name]).column(name).chunks:
                    lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
                    total += pc.sum(lengths.take(chunk.indices)).as_py() or 0
                if total > MOST_WORDS:
                    return f"{name} unfolds to {total} bytes"
    return None
