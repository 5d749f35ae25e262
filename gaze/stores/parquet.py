"""Parquet files, wherever they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from gaze.errors import UserError
from gaze.parquet_claims import metadata_claim, parquet_claim, words_claim
from gaze.stores.pieces import Pieces
from gaze.stores.places import Place, Remote

log = logging.getLogger(__name__)

ATTEMPTS = 3
V = TypeVar("V")


class RemoteParquet(pq.ParquetFile):
    """A Parquet file of a store whose pages are held to their checksums. What turns out damaged is fetched again."""

    def __init__(self, pieces: Pieces, **options: Any) -> None:
        self._pieces = pieces
        self._retried(lambda: super(RemoteParquet, self).__init__(pieces, page_checksum_verification=True, **options))

    def read_row_group(self, *args: Any, **kwargs: Any) -> pa.Table:
        """As pyarrow's."""
        return self._retried(lambda: super(RemoteParquet, self).read_row_group(*args, **kwargs))

    def read_row_groups(self, *args: Any, **kwargs: Any) -> pa.Table:
        """As pyarrow's."""
        return self._retried(lambda: super(RemoteParquet, self).read_row_groups(*args, **kwargs))

    def read(self, *args: Any, **kwargs: Any) -> pa.Table:
        """As pyarrow's."""
        return self._retried(lambda: super(RemoteParquet, self).read(*args, **kwargs))

    def _retried(self, read: Callable[[], V]) -> V:
        for attempt in range(ATTEMPTS):
            try:
                result = read()
            except (OSError, pa.ArrowException) as error:
                self._pieces.doubt()
                if attempt == ATTEMPTS - 1:
                    raise
                log.warning("%s can't be decoded (%s); it is fetched again", self._pieces.remote, str(error)[:120])
            else:
                self._pieces.trust()
                return result
        raise AssertionError("the loop returns or raises")


def open_parquet(place: Place, verify: bool = False) -> pq.ParquetFile:
    """A Parquet file; what pyarrow raises where it can't be read.

    Args:
        verify: check pages of a local file against their checksums, too; those of a remote one always are.

    Raises:
        UserError: it claims more than it holds; a remote file is not there, or can't be had.
    """
    if isinstance(place, Path):
        claim = parquet_claim(place)
        if claim is not None:
            raise UserError(f"{place} is refused: {claim}; fetch it again from its source")
        return pq.ParquetFile(place, memory_map=True, page_checksum_verification=verify)
    return _opened(place, Pieces(place))


def _opened(place: Remote, pieces: Pieces) -> RemoteParquet:
    """A remote file, of which only the footer was read; raises UserError if it claims more than it holds."""
    file = RemoteParquet(pieces)
    claim, words = metadata_claim(file.metadata, file.schema_arrow, pieces.size)
    if words:
        with RemoteParquet(Pieces(place), read_dictionary=words) as again:
            claim = words_claim(again, words)
    if claim is not None:
        file.close()
        raise UserError(f"{place} is refused: {claim}; upload it again from its source")
    return file


def fetch_columns(file: Remote, group: int, columns: Sequence[str]) -> None:
    """Have the columns of a row group in the cache, without decoding them.

    Raises:
        UserError: they can't be had.
    """
    pieces = Pieces(file)
    with _opened(file, pieces) as opened:
        told = opened.metadata.row_group(group)
        for column in map(told.column, range(told.num_columns)):
            if column.path_in_schema.split(".")[0] in columns:
                start = column.dictionary_page_offset or column.data_page_offset
                pieces.fetch(start, start + column.total_compressed_size)
