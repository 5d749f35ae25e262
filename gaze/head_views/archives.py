"""Zip archives of head views, in one file or cut into parts, and what in them may be unpacked."""

from __future__ import annotations

import io
import os
import re
import stat
import zipfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gaze.errors import UserError

PART = re.compile(r"^(?P<name>.+\.zip)[._-]?(?:part)?(?P<part>[a-z]{2}|\d{2,3})$", re.IGNORECASE)
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*\.h5$")  # of what is unpacked
SHOWN = 5


@dataclass(frozen=True)
class Archive:
    """An archive and the files that it is in, in their order."""

    name: str
    parts: Sequence[Path]

    def opened(self) -> zipfile.ZipFile:
        """The archive, read where its parts lie.

        Raises:
            UserError: it is damaged, or its last part is missing.
        """
        try:
            return zipfile.ZipFile(io.BufferedReader(JoinedParts(self.parts), 1 << 20))
        except (zipfile.BadZipFile, OSError) as error:
            several = f"; its last part here is {self.parts[-1].name}: are there more?" if len(self.parts) > 1 else ""
            raise UserError(f"{self.parts[0]} can't be unpacked ({error}){several}; fetch it again") from error


@dataclass(frozen=True)
class Member:
    """A file in an archive that is to be unpacked."""

    archive: Archive
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """Without folders."""
        return self.info.filename.rpartition("/")[2]


class JoinedParts(io.RawIOBase):
    """Files one behind the other, as one that can be read and sought in."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self._files: list[io.BufferedReader] = []
        self._starts, self._length, self._at = [], 0, 0
        for path in paths:
            self._files.append(open(path, "rb"))  # noqa: SIM115 - closed below
            self._starts.append(self._length)
            self._length += os.fstat(self._files[-1].fileno()).st_size

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; see `io.IOBase.seek`."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise OSError(f"{start + offset} is before the start of the archive")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read up to the end of a part; see `io.RawIOBase.readinto`."""
        if self._at >= self._length:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        while number + 1 < len(self._starts) and self._starts[number + 1] <= self._at:  # parts of no length
            number += 1
        file = self._files[number]
        file.seek(self._at - self._starts[number])
        count = file.readinto(buffer)
        self._at += count
        return count

    def close(self) -> None:
        """Close all parts."""
        for file in self._files:
            file.close()
        super().close()


def find_archives(source: Path) -> list[Archive]:
    """The archives of a folder, or one that is named itself, or by its first part.

    Raises:
        UserError: there are none, or parts are missing.
    """
    if not source.exists():
        raise UserError(
            f"source={source} is not there; expected a folder with *.zip or *.zip.aa, *.zip.ab, ...; fetch them"
        )
    folder = source if source.is_dir() else source.parent
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    whole = {path: [path] for path in files if path.suffix.lower() == ".zip"}
    cut: dict[Path, dict[str, Path]] = {}
    for path in files:
        found = PART.match(path.name)
        if found:
            cut.setdefault(path.with_name(found["name"]), {})[found["part"].lower()] = path
    for path, parts in cut.items():
        if path in whole:
            continue  # put together by hand already
        _check_order(path, sorted(parts))
        whole[path] = [parts[name] for name in sorted(parts)]
    archives = [Archive(path.relative_to(folder).as_posix(), parts) for path, parts in sorted(whole.items())]
    chosen = archives if source.is_dir() else [archive for archive in archives if source in archive.parts]
    if not chosen:
        raise UserError(f"source={source} holds no archive; expected *.zip or *.zip.aa, *.zip.ab, ...; fetch them")
    return chosen


def members_of(archive: Archive, opened: zipfile.ZipFile, most_gb: float, most_ratio: float) -> list[Member]:
    """The HDF5 files in an archive; everything else in it stays there.

    Args:
        most_gb: the most that one may have unpacked.
        most_ratio: the most times its packed size.

    Raises:
        UserError: one is larger, encrypted or called strangely: such an archive is not what was published.
    """
    found = []
    for info in opened.infolist():
        member = Member(archive, info)
        link = stat.S_ISLNK(info.external_attr >> 16)
        if info.is_dir() or link or not member.name.endswith(".h5") or "__MACOSX" in info.filename:
            continue
        place = f"{archive.name}: {info.filename!r}"
        if not NAME.match(member.name) or ".." in info.filename.split("/"):
            raise UserError(
                f"{place} is no file name to unpack; expected one as xgaze_subject0000.h5; fetch the archive again"
            )
        if info.flag_bits & 1:
            raise UserError(
                f"{place} is encrypted; expected plain files; unpack it by hand into out, and leave out source"
            )
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > most_gb * 1e9 or ratio > most_ratio:
            raise UserError(
                f"{place} unpacks to {info.file_size / 1e9:.3g} GB, {ratio:.0f} times its packed size; expected at most "
                f"{most_gb:g} GB and {most_ratio:g} times; if you trust it, raise most_gb or most_ratio"
            )
        found.append(member)
    return found


def _check_order(path: Path, names: Sequence[str]) -> None:
    first = [] if names[0] in ("aa", "00", "01", "000", "001") else ["the first"]
    gaps = [f"the one after {a}" for a, b in pairwise(names) if _number(b) != _number(a) + 1]
    if first or gaps:
        raise UserError(
            f"{path} is in parts {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}, and parts are missing: "
            f"{', '.join(first + gaps)}; fetch them"
        )


def _number(part: str) -> int:
    return int(part) if part.isdigit() else 26 * (ord(part[0]) - ord("a")) + ord(part[1]) - ord("a")
