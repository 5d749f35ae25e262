"""Files below the root of a data set of faces: pictures by their paths, and arrays that each worker opens for itself."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError
from gaze.datasets.image import MAX_PIXELS, ImageError, image_size, read_image
from gaze.datasets.paths import PathError, inside
from gaze.faces.h5_claims import h5_claim


def whole_root(root: str, holds: str) -> str:
    """The folder, if it is there.

    Raises:
        DatasetError: it is not.
    """
    if not Path(root).is_dir():
        raise DatasetError(
            f"{root} is not a folder; expected one with {holds}; correct root, or unpack the data set there"
        )
    return str(root)


def file_picture(root: str, path: str) -> UInt8[Tensor, "3 H W"]:
    """The picture of a file below the root, as it is stored.

    Raises:
        ImageError: it leaves the root, is missing or damaged.
    """
    return read_image(_inside(root, path), upright=False)


def file_bytes(root: str, path: str) -> bytes:
    """What a file below the root holds.

    Raises:
        ImageError: it leaves the root or can't be read.
    """
    name = _inside(root, path)
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ImageError(name, f"can't be read ({error.strerror})") from error


def files_missing(root: str, paths: Sequence[str]) -> dict[str, str]:
    """What is wrong with files of pictures, by path; nothing of those that are there and not empty.

    Folders are listed, because opening every file takes minutes; only what a listing can't tell is opened.
    """
    whole: dict[str, frozenset[str]] = {}  # names by folder
    found = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in whole:
            whole[folder] = _whole_files(root, folder)
        if name not in whole[folder] and (told := _problem(root, path)):
            found[path] = told
    return found


def _whole_files(root: str, folder: str) -> frozenset[str]:
    try:
        with os.scandir(_inside(root, folder) if folder else root) as entries:
            return frozenset(e.name for e in entries if e.is_file(follow_symlinks=False) and e.stat().st_size > 0)
    except (OSError, ImageError):
        return frozenset()


def _problem(root: str, path: str) -> str | None:
    try:
        image_size(_inside(root, path), MAX_PIXELS)
    except ImageError as error:
        return str(error)
    return None


def _inside(root: str, path: str) -> str:
    try:
        return inside(root, path)
    except PathError as error:
        raise ImageError(path, str(error)) from error


class LazyFiles:
    """Files that are opened when first asked for, again in each process; the last few stay open.

    A handle must not be shared by processes: position and caches are its own. So it is left behind when this is pickled,
    and forgotten in a process that was forked.

    Args:
        open_file: gives an open file, with a method `close`.
        keep: how many stay open.
    """

    def __init__(self, open_file: Callable[[str], Any], keep: int = 16) -> None:
        self._open_file, self._keep = open_file, keep
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict(), "_process": -1}

    def __call__(self, path: str) -> Any:
        """The open file; raises what opening it does."""
        if self._process != os.getpid():
            self._forget()
        if path not in self._open:
            self._open[path] = self._open_file(path)
            if len(self._open) > self._keep:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(path)
        return self._open[path]

    def _forget(self) -> None:
        self._process = os.getpid()
        self._open: OrderedDict[str, Any] = OrderedDict()


def opened(path: str) -> h5py.File:
    """An HDF5 file, to be closed by who asked.

    Raises:
        ImageError: it is missing, damaged, or not to be trusted; see `h5_claim`.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        what = "is damaged or no HDF5 file" if Path(path).is_file() else "is missing"
        raise ImageError(path, f"{what} ({str(error).splitlines()[0][:120]}); fetch it again") from error
    try:
        claim = h5_claim(file)
    except (OSError, RuntimeError, KeyError) as error:
        claim = f"it can't be looked through: {str(error).splitlines()[0][:120]}"
    if claim is None and os.path.getsize(path) < file.id.get_filesize():
        # What this process has open already, HDF5 gives again without a look at the disk
        file.close()
        raise ImageError(path, "was cut short while it was open; fetch it again")
    if claim is not None:
        file.close()
        raise ImageError(path, f"is refused: {claim}; fetch it again from its source")
    return file


def array_row(files: LazyFiles, root: str, path: str, name: str) -> np.ndarray:
    """The picture of a numbered path: a row of an array of a file below the root.

    Raises:
        ImageError: it can't be read.
    """
    below, row = numbered(path)
    file = files(os.path.join(root, below))
    try:
        return np.asarray(file[name][row])
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise ImageError(f"{root}/{path}", f"can't be read ({error}); fetch the file again") from error


def numbered(path: str) -> tuple[str, int]:
    """A file below the root and a row of it, of a path as train/subject0000.h5#12."""
    file, _, row = path.rpartition("#")
    return file, int(row)
