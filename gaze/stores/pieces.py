"""A remote file as an open one: read at any place, a piece at a time, each fetched once for all processes."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa

from gaze.errors import UserError

if TYPE_CHECKING:
    from gaze.stores.places import Remote

PIECE = 1 << 20  # bytes: of columns of labels little else is fetched
RUN = 8  # pieces that one request asks for at most
AT_ONCE = 8  # requests, for a store is slow to begin and then fast


class Pieces(io.RawIOBase):
    """A binary file for pyarrow, read-only.

    Raises:
        UserError: the file is not there.
    """

    def __init__(self, remote: Remote) -> None:
        found = remote.found()
        if found is None:
            raise UserError(f"{remote} is not there: no such bucket, folder or file")
        self.remote, self.size, self._place = remote, found.size, 0
        self._key = f"{remote.store.identity}|{found.path}|{found.size}|{found.mtime_s}"
        self._used: set[int] = set()  # pieces since `doubt` was last asked
        self._file: pa.NativeFile | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move there."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.size}[whence]
        self._place = start + offset
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes."""
        end = self.size if size is None or size < 0 else min(self._place + size, self.size)
        data = self.between(self._place, max(end, self._place))
        self._place += len(data)
        return data

    def between(self, start: int, end: int) -> bytes:
        """Bytes from `start` up to `end`, from the cache as far as it has them.

        Raises:
            UserError: they can't be had.
        """
        if end <= start:
            return b""
        numbers = range(start // PIECE, (end - 1) // PIECE + 1)
        self._used.update(numbers)
        parts = {number: self.remote.cache.get(self.key(number)) for number in numbers}
        runs = list(_runs([number for number, data in parts.items() if data is None]))
        if len(runs) > 1:
            self._handle()  # before threads ask for it
            with ThreadPoolExecutor(AT_ONCE) as pool:
                for fetched in pool.map(self._fetched, runs):
                    parts |= fetched
        elif runs:
            parts |= self._fetched(runs[0])
        whole = b"".join(part for _, part in sorted(parts.items()) if part is not None)
        return whole[start - numbers[0] * PIECE : end - numbers[0] * PIECE]

    def fetch(self, start: int, end: int) -> None:
        """Have these bytes in the cache; holds few of them at once."""
        for first in range(start, end, RUN * AT_ONCE * PIECE):
            self.between(first, min(first + RUN * AT_ONCE * PIECE, end))

    def doubt(self) -> None:
        """Forget the pieces that were read since this was last called: what they held was wrong."""
        for number in self._used:
            self.remote.cache.drop(self.key(number))
        self._used = set()

    def trust(self) -> None:
        """What was read so far was right."""
        self._used = set()

    def _fetched(self, run: range) -> dict[int, bytes | None]:
        cache = self.remote.cache
        with cache.fetching(self.key(run[0])):
            there = {number: cache.get(self.key(number)) for number in run}  # another process may have
            if None not in there.values():
                return dict(there)
            start, end = run[0] * PIECE, min((run[-1] + 1) * PIECE, self.size)
            data = self.remote.store.read(self._handle(), self.remote.path, start, end - start)
            if len(data) != end - start:
                raise UserError(f"{self.remote} gave {len(data)} of {end - start} bytes: it changed while it was read")
            found: dict[int, bytes | None] = {n: data[n * PIECE - start : (n + 1) * PIECE - start] for n in run}
            for number, part in found.items():
                cache.put(self.key(number), part or b"")
            return found

    def _handle(self) -> pa.NativeFile:
        if self._file is None:
            now = self.remote.store.found(self.remote.path)
            if now != self.remote.found():
                raise UserError(f"{self.remote} changed while it was read; start again, with the files as they are now")
            self._file = self.remote.store.opened(self.remote.path)
        return self._file

    def key(self, number: int) -> str:
        """Of a piece, in the cache."""
        return f"{self._key}|{PIECE}|{number}"


def _runs(numbers: list[int]) -> Iterator[range]:
    """Consecutive numbers together, at most `RUN` of them."""
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1 or place - start == RUN:
            yield range(numbers[start], numbers[place - 1] + 1)
            start = place
