"""Writes a table again as files of about one size, for object stores and for tables of millions of frames."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gaze.errors import UserError
from gaze.recordings.reading import table_files
from gaze.recordings.schema import PREFIX, SCHEMA, open_file
from gaze.stores.places import Place

MB = 10**6
_SAME = tuple(f"{PREFIX}{name}" for name in ("schema_version", "dataset", "boxes", "crop", "units", "label_unit"))


def write_shards(
    source: Path | str,
    out: Path | str,
    shard_mb: float = 256.0,
    group_rows: int = 256,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Copy a table, rows in their order, into `out`/shard-00000.parquet and so on; how many there are.

    The folder appears under its name when it is complete. Memory holds a row group of the source and one of a shard.

    Args:
        source: a Parquet file or a folder of them.
        out: the folder to make.
        shard_mb: a file is ended when it has reached so much, 10^6 bytes.
        group_rows: of a row group, the least that is read at a time. Small ones mix better under `dataset.stream`, where
            the rows of a few row groups at a time are shuffled.
        progress: told (done, total) rows.

    Raises:
        UserError: `out` is there already, files of the source disagree, or pictures are files beside it.
    """
    if shard_mb <= 0 or group_rows < 1:
        raise UserError(f"shard_mb is {shard_mb:g} and group_rows {group_rows}; expected numbers above 0")
    out, files = Path(out), table_files(source)
    if out.exists():
        raise UserError(f"{out} is there already; remove it, or choose another out=")
    metadata = _metadata(files)
    total = 0
    for file in files:
        with open_file(file) as opened:
            total += opened.metadata.num_rows
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        aside.mkdir(parents=True)
        count = _write(aside, _groups(files, group_rows), metadata, shard_mb * MB, lambda done: progress(done, total))
        aside.rename(out)
    except OSError as error:
        raise UserError(f"{out} can't be written: {error}; free space, or choose another out=") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return count


def _write(
    folder: Path,
    groups: Iterator[pa.Table],
    metadata: dict[bytes, bytes],
    most: float,
    progress: Callable[[int], None],
) -> int:
    words = [field.name for field in SCHEMA if pa.types.is_dictionary(field.type)]
    pictures = {name for name in SCHEMA.names if name.endswith("_bytes")}
    file: pq.ParquetWriter | None = None
    count = done = 0
    for table in groups:
        if file is None:
            path = folder / f"shard-{count:05d}.parquet"
            file = pq.ParquetWriter(
                path,
                SCHEMA.with_metadata(metadata),
                # Pictures are compressed already
                compression={name: "none" if name in pictures else "zstd" for name in SCHEMA.names},
                use_dictionary=words,
                write_page_checksum=True,
            )
            count += 1
        file.write_table(table, row_group_size=len(table))
        done += len(table)
        progress(done)
        if path.stat().st_size >= most:
            file.close()
            file = None
    if file is not None:
        file.close()
    return count


def _groups(files: list[Place], rows: int) -> Iterator[pa.Table]:
    """The rows of all files, so many at a time."""
    waiting: list[pa.Table] = []
    for file in files:
        with open_file(file) as opened:
            for group in range(opened.num_row_groups):
                waiting.append(_without_files(file, opened.read_row_group(group)))
                table = pa.concat_tables(waiting).unify_dictionaries().combine_chunks()
                whole = len(table) // rows * rows
                yield from (table.slice(start, rows) for start in range(0, whole, rows))
                waiting = [table.slice(whole)]
    if waiting and len(waiting[0]):
        yield waiting[0]


def _without_files(file: Place, table: pa.Table) -> pa.Table:
    for name in (name for name in SCHEMA.names if name.endswith("_path")):
        if pc.any(pc.is_valid(table[name])).as_py():
            raise UserError(
                f"{file} has pictures that are files beside it ({name}), which shards would lose; prepare it with "
                "pictures.images=crops or frame"
            )
    return table


def _metadata(files: list[Place]) -> dict[bytes, bytes]:
    """What all files say of themselves, without what is said of single ones."""
    told = {}
    for file in files:
        with open_file(file) as opened:
            found = opened.metadata.metadata
        told[file] = {key: found[key.encode()] for key in _SAME if key.encode() in found}
    first = next(iter(told))
    for file, said in told.items():
        if said != told[first]:
            keys = [key for key in _SAME if said.get(key) != told[first].get(key)]
            raise UserError(f"{file} and {first} disagree in {', '.join(keys)}; make shards of each by itself")
    return {key.encode(): value for key, value in told[first].items()}
