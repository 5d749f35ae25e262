"""One append-only file of rows of one size, and the index that makes each of them whole or absent."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

KEY = 16  # bytes of a key
ENTRY = struct.Struct(f"<{KEY}sII")  # key, checksum of the row, checksum of this entry and its number
ROWS, INDEX = "rows.bin", "index.bin"


class RowFile:
    """Row number n at n times the size of a row; entry n of the index says whose it is.

    A row is written before its entry, and an entry holds checksums of both. So a writer may be killed, or the power cut,
    at any moment: an entry that is torn, or whose row is not what was written, counts as absent. Rows are read by
    position and not mapped into memory, where a failing or truncated disk would end the process.

    Args:
        folder: of the two files.
        size: bytes of a row.
        write: may rows be added? By one process only, which holds the folder.

    Attributes:
        damaged: entries and rows found so far that are not as they were written.
    """

    def __init__(self, folder: Path, size: int, write: bool) -> None:
        self.size, self.folder = size, folder
        flags = os.O_RDWR | os.O_CREAT if write else os.O_RDONLY
        self.rows = os.open(folder / ROWS, flags, 0o644)
        self.index = os.open(folder / INDEX, flags, 0o644)
        self.count = self.damaged = 0
        self.crcs: dict[int, int] = {}  # of rows that this process has not compared yet

    def fresh(self) -> Iterator[tuple[bytes, int]]:
        """Keys and numbers of the rows that were added since it was last asked for."""
        whole = min(os.fstat(self.index).st_size // ENTRY.size, os.fstat(self.rows).st_size // self.size)
        entries = os.pread(self.index, (whole - self.count) * ENTRY.size, self.count * ENTRY.size)
        torn = 0  # at the end they may be in the making, or left by a killed writer: the next row takes their place
        for number, (key, crc, own) in enumerate(ENTRY.iter_unpack(entries), self.count):
            if own != _own(key, crc, number):
                torn += 1
                continue
            self.damaged, torn, self.count = self.damaged + torn, 0, number + 1
            self.crcs[number] = crc
            yield key, number

    def read(self, number: int, out: UInt8[Tensor, "s"]) -> bool:
        """Write a row into `out`; False if it is not what was written once."""
        place = out.numpy().data
        try:
            done = os.preadv(self.rows, [place], number * self.size)
        except OSError:  # of a failing disk
            done = -1
        crc = self.crcs.get(number)
        if done != self.size or (crc is not None and zlib.crc32(place) != crc):
            self.damaged += 1
            return False
        self.crcs.pop(number, None)  # once: to compare each time adds a quarter to reading, 0.4 ms for 1.6 MB
        return True

    def append(self, keys: Sequence[bytes], rows: UInt8[Tensor, "n s"]) -> range:
        """Add rows; their numbers.

        Raises:
            OSError: there is no room; nothing was added.
        """
        entries, numbers = b"", range(self.count, self.count + len(keys))
        crcs: dict[int, int] = {}
        for number, key, row in zip(numbers, keys, rows, strict=True):
            crc = crcs[number] = zlib.crc32(row.numpy())
            entries += ENTRY.pack(key, crc, _own(key, crc, number))
        try:
            _write(self.rows, rows.contiguous().numpy().data, self.count * self.size)
            _write(self.index, entries, self.count * ENTRY.size)
        except OSError:
            os.ftruncate(self.index, self.count * ENTRY.size)
            os.ftruncate(self.rows, self.count * self.size)
            raise
        self.count += len(keys)
        self.crcs |= crcs
        return numbers

    def close(self) -> None:
        """Let go of both files."""
        for descriptor in (self.rows, self.index):
            os.close(descriptor)


def row_folders(folder: Path) -> Iterable[Path]:
    """The folders below one in which there are rows: each machine and each run at once makes another, if only to read."""
    return sorted(path for path in folder.glob("*") if all(_filled(path / name) for name in (INDEX, ROWS)))


def _filled(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def _own(key: bytes, crc: int, number: int) -> int:
    return zlib.crc32(struct.pack("<IQ", crc, number), zlib.crc32(key))


def _write(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    """All of it: the kernel may take a part at a time."""
    left = memoryview(content).cast("B")
    while left:
        done = os.pwrite(descriptor, left, offset)
        left, offset = left[done:], offset + done
