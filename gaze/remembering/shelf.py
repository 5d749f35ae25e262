"""Rows in a directory that later runs and other processes read: one folder for each network, its settings and its format."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import socket
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from jaxtyping import UInt8
from torch import Tensor

from gaze import durable
from gaze.errors import UserError
from gaze.holders import hold
from gaze.remembering.memory import GIGA
from gaze.remembering.row_file import ENTRY, INDEX, ROWS, RowFile, row_folders

logger = logging.getLogger(__name__)

ABOUT = "about.json"


class Taken(UserError):
    """Another shelf writes there."""


class Shelf:
    """Rows of one network in `home`, each shelf with a file of its own to write, and all with all files to read.

    What decides a row's value is in the folder's name, so that another network, other weights or another format never find
    it. Nothing is removed: folders that belong to others are listed with their sizes.

    Args:
        home: directory of all folders.
        label: what the folder's name begins with, such as the module's.
        about: what rows depend on.
        gigabytes: most room for the folder, of all that write to it; those that write at once may exceed it by a batch.
        pictures: rows that will be asked for, at most; as many are added at most, since those that are there may be of others.
        name: what messages call the network.

    Raises:
        UserError: `home` can't be written to and holds nothing, or all rows would not fit.
    """

    durable = True

    def __init__(
        self, home: Path, label: str, about: Mapping[str, str], gigabytes: float, pictures: int, name: str
    ) -> None:
        self.home, self.label, self.about = home, label, dict(about)
        self.gigabytes, self.pictures, self.name = gigabytes, pictures, name
        self.folder = home
        self.files: list[RowFile] = []
        self.own: int | None = None  # which of them is this process's
        self.places: dict[Hashable, tuple[int, int]] = {}  # key -> file, row
        self.size = self.most = 0  # bytes of a row with its entry; rows that were foreseen
        self.held = ExitStack()
        self.stopped = False  # no more rows are written

    def __str__(self) -> str:
        return str(self.folder)

    def open(self, size: int, shape: tuple[int, ...]) -> None:
        """Find what is there, and say what will be, before anything is written.

        Raises:
            UserError: there is not enough room, or the directory can't be used.
        """
        facts = json.dumps(self.about | {"row": str(shape), "bytes": str(size)}, indent=2, sort_keys=True)
        folder = self.home / f"{self.label}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
        if self.files or self.size:
            if folder != self.folder:
                raise UserError(f"{self.name}: its rows are {size} bytes now; one directory holds rows of one size")
            return
        self.folder, self.size = folder, size + ENTRY.size
        self.refresh()
        self._fits()
        try:
            durable.make_directory(folder)
            if not (folder / ABOUT).exists():
                durable.write_text(folder / ABOUT, facts)
            self._claim(size)
        except OSError as error:
            if not self.places:
                raise UserError(
                    f"callback.feature_cache.dir: {self.folder} can't be written to ({error.strerror}); choose another "
                    "directory, or dir=null"
                ) from error
            logger.warning("%s: %s can't be written to (%s); it is only read", self.name, folder, error.strerror)

    def refresh(self) -> None:
        """Find what other processes have added."""
        known = {file.folder for file in self.files}
        if self.size:
            size = self.size - ENTRY.size
            self.files += [RowFile(f, size, write=False) for f in row_folders(self.folder) if f not in known]
        for number, file in enumerate(self.files):
            self.places |= {key: (number, row) for key, row in file.fresh()}

    def read(self, keys: Sequence[Hashable], out: UInt8[Tensor, "n s"]) -> list[bool]:
        known = []
        for place, key in zip(out, keys, strict=True):
            number, row = self.places.get(key, (-1, -1))
            known.append(number >= 0 and self.files[number].read(row, place))
            if number >= 0 and not known[-1]:
                del self.places[key]
                logger.warning(
                    "%s: row %d of %s is not what was written there; it is computed anew",
                    *(self.name, row, self.files[number].folder),
                )
        return known

    def write(self, keys: Sequence[Hashable], rows: UInt8[Tensor, "n s"]) -> None:
        if self.own is None or self.stopped:
            return
        new = {key: number for number, key in enumerate(keys) if key not in self.places}  # one twice in a batch: once
        if not new:
            return
        foreseen = len(self.places) + len(new) <= self.most
        if not foreseen or self._written() + len(new) * self.size > self.gigabytes * GIGA:
            self._stop(
                f"{self.folder} holds {len(self.places)} rows, and more pictures come than "
                f"{'were foreseen' if not foreseen else 'gigabytes has room for'}, each of which is computed each time: "
                f"raise {'views' if not foreseen else 'gigabytes'}, or take augmentation out"
            )
            return
        try:
            added = self.files[self.own].append([bytes(key) for key in new], rows[list(new.values())])  # type: ignore[call-overload]
        except OSError as error:
            self._stop(f"{self.folder} takes no more rows ({error.strerror}); what else comes is computed each time")
            return
        self.places |= {key: (self.own, row) for key, row in zip(new, added, strict=True)}

    def close(self) -> None:
        """Let go of all files."""
        for file in self.files:
            file.close()
        self.files, self.own, self.places, self.size = [], None, {}, 0
        self.held.close()

    def _claim(self, size: int) -> None:
        """Take the first file of this machine that nobody else writes."""
        for number in count():
            # Not all disks that machines share have locks across them
            folder = self.folder / f"{socket.gethostname()}-{number}"
            durable.make_directory(folder)
            try:
                self.held.enter_context(hold(folder, Taken, "choose another directory"))
            except Taken as taken:
                if not isinstance(taken.__cause__, BlockingIOError | PermissionError):
                    raise
                continue
            break
        names = [file.folder for file in self.files]
        if folder in names:
            self.own = names.index(folder)
            self.files[self.own].close()
        else:
            self.own = len(self.files)
        own = RowFile(folder, size, write=True)
        self.files[self.own : self.own + 1] = [own]
        self.places |= {key: (self.own, row) for key, row in own.fresh()}

    def _fits(self) -> None:
        """Say how much will be written.

        Raises:
            UserError: there is no room for it.
        """
        total, there = self.pictures * self.size / GIGA, len(self.places)
        above = next(path for path in (self.folder, *self.folder.absolute().parents) if path.exists())
        free, missing = shutil.disk_usage(above).free / GIGA, max(self.pictures - there, 0) * self.size / GIGA
        wanted = f"{self.pictures} pictures of {self.size} bytes take up to {total:.3g} GB in {self.folder}"
        advice = "choose storage=int8, fewer fields, or dir=null"
        if total > self.gigabytes:
            raise UserError(f"{self.name}: {wanted}, and gigabytes is {self.gigabytes:g}; raise it, or {advice}")
        if missing > free:
            raise UserError(f"{self.name}: {wanted}, and {free:.3g} GB are free; make room there, or {advice}")
        if total > free:
            logger.warning(
                "%s: %s, and %.3g GB are free, which suffices only if most of the %d rows there are of the same pictures",
                *(self.name, wanted, free, there),
            )
        self.most = there + self.pictures
        logger.info("%s: %s; %d are there, %.3g GB are free", self.name, wanted, there, free)
        if others := [f"{path} ({_gigabytes(path):.3g} GB)" for path in _folders(self.home) if path != self.folder]:
            logger.info(
                "%s: also there, of other weights or settings: %s; if no run needs them any more: rm -r FOLDER",
                *(self.name, ", ".join(others)),
            )

    def _written(self) -> int:
        """Bytes of all rows with their entries, also of those that others are adding."""
        return sum(path.stat().st_size for name in (ROWS, INDEX) for path in self.folder.glob(f"*/{name}"))

    def _stop(self, why: str) -> None:
        logger.warning("%s: %s", self.name, why)
        self.stopped = True


def _folders(home: Path) -> Iterator[Path]:
    return (file.parent for file in sorted(home.glob(f"*/{ABOUT}")))


def _gigabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / GIGA
