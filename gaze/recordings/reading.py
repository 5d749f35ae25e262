"""Reads a table of recordings: some columns of some rows at once, or whole rows one by one in any order.

A table is one Parquet file or a folder of them, in the order of their names. A row's number counts through
all files; `read_columns` gives it in the column `row`, and `RowReader` takes it.
"""

from __future__ import annotations

import logging
import operator
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gaze.errors import UserError
from gaze.recordings.schema import SCHEMA, open_file
from gaze.stores.parquet import fetch_columns
from gaze.stores.places import Place, Remote, parquet_files, place

log = logging.getLogger(__name__)

Condition = tuple[str, str, Any]  # column, one of == != < <= > >= in "not in", value
ROW = "row"
ASKED_AT_ONCE = 32  # remote files
V = TypeVar("V")


def table_files(path: Place | str) -> list[Place]:
    """The files of a table, here or in an object store.

    Raises:
        UserError: there is none.
    """
    path = place(path)
    files = parquet_files(path)
    if not files:
        what = "a folder without any *.parquet file" if path.exists() else "not there"
        raise UserError(f"{path} is {what}; expected a table of recordings: make one with tools/prepare_pog.py")
    return files


def read_columns(path: Place | str, columns: Sequence[str], where: Sequence[Condition] = ()) -> pa.Table:
    """The rows that meet all conditions, with their numbers in the column `row`.

    Only the named columns and those of the conditions are read, and only row groups whose statistics
    allow a match.

    Raises:
        UserError: a file is not a table of recordings, or there is no such column.
    """
    unknown = sorted({*columns, *(name for name, _, _ in where)} - set(SCHEMA.names))
    if unknown:
        raise UserError(f"a table of recordings has no column {', '.join(unknown)}; it has {', '.join(SCHEMA.names)}")
    needed = list(dict.fromkeys([*columns, *(name for name, _, _ in where)]))

    def part(file: Place) -> tuple[pa.Table, int]:
        with open_file(file) as opened, _decoding(file):
            return _part(opened, needed, where).select([*columns, ROW]), opened.metadata.num_rows

    parts, start = [], 0
    for table, rows in each(part, table_files(path)):
        numbers = pa.array(table[ROW].to_numpy() + start)  # through all files
        parts.append(table.set_column(table.num_columns - 1, ROW, numbers))
        start += rows
    return pa.concat_tables(parts).unify_dictionaries().combine_chunks()


def each(look: Callable[[Place], V], files: Sequence[Place]) -> Iterator[V]:
    """What `look` says of each file, in order. Of remote files many are asked at once: each answer takes a while."""
    if not files or isinstance(files[0], Path):
        yield from map(look, files)
        return
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        yield from pool.map(look, files)


@contextmanager
def _decoding(file: Place) -> Iterator[None]:
    """Raises UserError for content that can't be decoded."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{file} holds what can't be decoded ({str(error).splitlines()[0][:120]}); fetch or make it again"
        ) from error


def _part(file: pq.ParquetFile, columns: list[str], where: Sequence[Condition]) -> pa.Table:
    """The rows of one file, numbered within it."""
    groups = [g for g in range(file.num_row_groups) if all(_may_hold(file.metadata.row_group(g), c) for c in where)]
    sizes = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
    firsts = np.cumsum([0, *sizes])
    rows = [np.arange(firsts[g], firsts[g + 1]) for g in groups]
    # At least one column is read, so that the table knows how many rows it has
    table = file.read_row_groups(groups, columns=columns or ["frame"])
    table = table.append_column(ROW, pa.array(np.concatenate([np.empty(0, np.int64), *rows])))
    return table.filter(pq.filters_to_expression(list(where))) if where else table


def _may_hold(group: pq.RowGroupMetaData, condition: Condition) -> bool:
    """Could a row of the group meet the condition? pyarrow's own pruning passes over columns of words."""
    name, relation, value = condition
    column = next(c for c in map(group.column, range(group.num_columns)) if c.path_in_schema.split(".")[0] == name)
    known = column.statistics
    if known is None or not known.has_min_max:
        return True
    low, high = known.min, known.max
    if relation == "in":
        return any(low <= v <= high for v in value)
    if relation == "==":
        return bool(low <= value <= high)
    tests = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
    return relation not in tests or tests[relation](low if "<" in relation else high, value)


class RowReader:
    """Single rows of a table, by number, in any order; only the named columns are read.

    What is decoded is a whole row group, and the last few are kept, so neighbours in `order.shuffled` cost
    little. Files are opened when they are first needed, again in each process: a reader may be pickled
    or forked.

    Args:
        path: a Parquet file or a folder of them.
        columns: what to read.
        keep: decoded row groups to hold.
    """

    def __init__(self, path: Place | str, columns: Sequence[str], keep: int = 8) -> None:
        self.files = table_files(path)
        self.columns = list(columns)
        self._keep = keep
        self._fetching: Thread | None = None
        sizes = list(each(_group_sizes, self.files))
        self._groups = [(number, group) for number, rows in enumerate(sizes) for group in range(len(rows))]
        self.bounds = np.cumsum(
            [0, *chain.from_iterable(sizes)]
        )  # the first row of each row group, and the number of rows
        self._forget()

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}, "_decoded": OrderedDict(), "_process": -1, "_fetching": None}

    def row(self, number: int) -> dict[str, Any]:
        """One row: lists as numpy arrays, pictures as bytes, paths in full, missing values None (NaN in lists).

        Raises:
            UserError: a store can't be read.
            PathError: a path leads out of the folder of a remote table.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"row {number} of {len(self)}")
        if self._process != os.getpid():
            self._forget()  # a forked process must not share file handles and their positions
        group = int(np.searchsorted(self.bounds, number, side="right")) - 1
        columns, place = self._group(group), number - int(self.bounds[group])
        folder = self.files[self._groups[group][0]].parent
        return {name: _cell(name, column, place, folder) for name, column in columns.items()}

    def turn(self, done: Iterable[int], next: Iterable[int]) -> None:
        """Give up row groups that are not needed any more; fetch of remote files those that will be, in a thread."""
        for group in done:
            self._decoded.pop(int(group), None)
        wanted = [self._groups[int(group)] for group in next]
        if wanted and not isinstance(self.files[0], Path):
            if self._fetching is not None:
                self._fetching.join()  # as fast as they are used; else threads would pile up
            self._fetching = Thread(target=self._fetch, args=(wanted,), daemon=True)
            self._fetching.start()

    def _fetch(self, wanted: Sequence[tuple[int, int]]) -> None:
        try:
            for number, within in wanted:
                file = self.files[number]
                assert isinstance(file, Remote)
                fetch_columns(file, within, self.columns)
        except (UserError, OSError) as error:
            log.info("%s; it is tried again when it is needed", error)

    def _group(self, group: int) -> dict[str, Any]:
        if group not in self._decoded:
            number, within = self._groups[group]
            if number not in self._open:
                self._open[number] = open_file(self.files[number])
            with _decoding(self.files[number]):
                table = self._open[number].read_row_group(within, columns=self.columns, use_threads=False)
                self._decoded[group] = {name: _decoded(table[name].combine_chunks()) for name in self.columns}
            if len(self._decoded) > self._keep:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(group)
        return self._decoded[group]

    def _forget(self) -> None:
        self._process = os.getpid()
        self._open: dict[int, pq.ParquetFile] = {}
        self._fetching = None
        self._decoded: OrderedDict[int, dict[str, Any]] = OrderedDict()


def _group_sizes(file: Place) -> list[int]:
    with open_file(file) as opened:
        return [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]


def _decoded(column: pa.Array | pa.ChunkedArray) -> Any:
    """Lists of numbers as one numpy array; everything else as it is."""
    if not pa.types.is_fixed_size_list(column.type):
        return column
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)


def _cell(name: str, column: Any, place: int, folder: Place) -> Any:
    if isinstance(column, np.ndarray):
        return column[place].copy()  # not a view that keeps its row group alive
    value = column[place].as_py()
    if not name.endswith("_path") or value is None:
        return value
    return os.path.normpath(folder.absolute() / value) if isinstance(folder, Path) else folder / value
