"""Faces in the project's own layout: a folder of Parquet files, one row per face with its picture and canonical labels.

Written by tools/prepare_directions.py. Rows have the columns of gaze/faces/index.py and of attributes, but `source` where
the picture was instead of `path`, `file` and `row`, and `face_bytes`, a JPEG or PNG.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import ImageError, decode_image
from gaze.faces.files import LazyFiles, numbered, whole_root
from gaze.faces.index import INDEX, SOURCE, joined
from gaze.stores.parquet import open_parquet
from gaze.stores.places import CACHE_GB, parquet_files, place

VERSION = "1"
ABOUT = b"faces.about"  # key of a file's metadata
BYTES = "face_bytes"
GROUP = 16  # rows that are read together, so few because training takes them in any order
REMEDY = "write it again with tools/prepare_directions.py"
_PLACE = ("path", "file", "row")  # what the reader says anew
_STORED = [name for name in INDEX.names if name not in _PLACE]


@dataclass(frozen=True)
class About:
    """What a file says of itself."""

    name: str
    normalised: bool
    clusters: Sequence[Sequence[str]] = ()
    made: Mapping[str, Any] = field(default_factory=dict)  # the settings it was made with
    version: str = VERSION


class FaceTable:
    """A folder of such files; see `Faces`.

    Args:
        root: the folder, or the address of one such as s3://bucket/folder.
        cache: folder for pieces of files that are at an address.
        cache_gb: what it may hold; the pieces that were not used for longest go first.

    Raises:
        DatasetError: it holds something else.
        UserError: a store can't be read.
    """

    def __init__(self, root: str, cache: str | None = None, cache_gb: float = CACHE_GB) -> None:
        self._folder = place(root, cache, cache_gb)
        here = isinstance(self._folder, Path)
        self.root = (
            whole_root(str(self._folder), "Parquet files of tools/prepare_directions.py") if here else str(self._folder)
        )
        self._files = LazyFiles(self._opened)
        self._parts = {file.name: file for file in parquet_files(self._folder)}
        self._names = list(self._parts)
        if not self._names:
            raise DatasetError(f"{root} holds no *.parquet file; expected a table of faces; {REMEDY}")
        about = self._about(self._names[0])
        self.name, self.normalised = about.name, about.normalised
        self._clusters = [list(cluster) for cluster in about.clusters]

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per row of all files; see `Faces.index`.

        Raises:
            DatasetError: a file is damaged, or of another data set.
        """
        tables = []
        for name in self._names:
            path = f"{self.root}/{name}"
            if self._about(name).name != self.name:
                raise DatasetError(
                    f"{path} is of {self._about(name).name}, and others of {self.name}; move it elsewhere"
                )
            opened = self._open(name)
            columns = [column for column in opened.schema_arrow.names if column != BYTES]
            missing = [column for column in _STORED if column not in columns]
            if missing:
                raise DatasetError(f"{path} lacks the columns {', '.join(missing)}; {REMEDY}")
            table = opened.read(columns=columns)
            count = range(len(table))
            place = {"path": [f"{name}#{row}" for row in count], "file": [path] * len(count), "row": list(count)}
            for column, values in place.items():
                table = table.append_column(column, pa.array(values, INDEX.field(column).type))
            tables.append(table.select([*INDEX.names, *(c for c in columns if c not in INDEX.names)]))
        return joined([table.replace_schema_metadata() for table in tables]), []

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture of a row; see `Faces.picture`."""
        return decode_image(f"{self.root}/{path}", self.stored(path), upright=False)

    def stored(self, path: str) -> bytes:
        """The bytes of a row's picture; see `Faces.stored`."""
        name, row = numbered(path)
        try:
            group = self._files(name).read_row_group(row // GROUP, [BYTES], use_threads=False)
            return bytes(group[BYTES][row % GROUP].as_py())
        except (pa.ArrowInvalid, OSError, IndexError, KeyError) as error:
            raise ImageError(f"{self.root}/{path}", f"can't be read ({error}); {REMEDY}") from error

    def missing(self, paths: Sequence[str]) -> dict[str, str]:
        """None: a row has its picture."""
        return {}

    def clusters(self) -> list[list[str]]:
        """The subjects of each published fold; see `Faces.clusters`."""
        return self._clusters

    def _about(self, name: str) -> About:
        path = f"{self.root}/{name}"
        told = (self._open(name).schema_arrow.metadata or {}).get(ABOUT)
        about = About(**json.loads(told)) if told else None
        if about is None or about.version != VERSION:
            what = "is no table of faces" if about is None else f"has version {about.version}"
            raise DatasetError(f"{path} {what}; expected version {VERSION} of a table of faces; {REMEDY}")
        return about

    def _open(self, name: str) -> pq.ParquetFile:
        try:
            return self._files(name)
        except (pa.ArrowInvalid, OSError) as error:
            raise DatasetError(
                f"{self.root}/{name} can't be read ({str(error).splitlines()[0][:120]}); {REMEDY}"
            ) from error

    def _opened(self, name: str) -> pq.ParquetFile:
        return open_parquet(self._parts[name])


class FaceWriter:
    """Files of such a folder, which exists; memory holds a few rows.

    Args:
        folder: gets part-00000.parquet and so on.
        about: what each file says of itself.
        rows_per_file: a multiple of `GROUP`.
    """

    def __init__(self, folder: Path, about: About, rows_per_file: int = 8192) -> None:
        self._folder, self._about, self._rows_per_file = folder, json.dumps(vars(about)), rows_per_file
        self._parts, self._written = 0, 0
        self._file: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> FaceWriter:
        return self

    def write(self, rows: pa.Table, pictures: Sequence[bytes]) -> None:
        """Append rows of an index table with their pictures."""
        kept = [name for name in rows.column_names if name not in (*_PLACE, SOURCE)]
        # Of a copy of a copy, where the first was made from
        source = rows[SOURCE if SOURCE in rows.column_names else "path"]
        table = rows.select(kept).append_column(SOURCE, source)
        self._waiting.append(table.append_column(BYTES, pa.array(pictures, pa.binary())))
        while sum(map(len, self._waiting)) >= GROUP:
            table = pa.concat_tables(self._waiting).combine_chunks()
            self._flush(table.slice(0, GROUP))
            self._waiting = [table.slice(GROUP)]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None and any(map(len, self._waiting)):
                self._flush(pa.concat_tables(self._waiting).combine_chunks())
        finally:
            self._close()

    def _flush(self, table: pa.Table) -> None:
        if self._file is None:
            schema = table.schema.with_metadata({ABOUT: self._about.encode()})
            words = [f.name for f in schema if f.type == pa.string()]
            path = self._folder / f"part-{self._parts:05d}.parquet"
            # Pictures are compressed already
            compression = {f.name: "none" if f.name == BYTES else "zstd" for f in schema}
            self._file = pq.ParquetWriter(
                path, schema, compression=compression, use_dictionary=words, write_page_checksum=True
            )
            self._parts, self._written = self._parts + 1, 0
        self._file.write_table(table.combine_chunks(), row_group_size=GROUP)
        self._written += len(table)
        if self._written >= self._rows_per_file:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
