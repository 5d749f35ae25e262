"""Where a data set is: a path on this machine, or a place in an object store that is used as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from gaze.datasets.paths import PathError
from gaze.errors import UserError
from gaze.stores.addresses import STORES, is_remote, scheme_of, shown, without_scheme
from gaze.stores.cache import Cache
from gaze.stores.store import Found, Store

GB = 10**9
CACHE_GB = 50.0
MOST_BYTES = 1 << 28  # of a file that is read in one; pictures from cameras have a tenth of it


class Remote:
    """A file or folder of a store, with as much of `pathlib.Path` as readers use. May be pickled.

    Its text is its address without credentials and options.
    """

    def __init__(self, store: Store, path: str, cache: Cache, found: Found | None = None) -> None:
        self.store, self.path, self.cache = store, path, cache
        self._found = found

    def __str__(self) -> str:
        return self.store.name(self.path)

    def __repr__(self) -> str:
        return f"Remote({str(self)!r})"

    def __truediv__(self, relative: str) -> Remote:
        """A file below; raises PathError for anything that is not below."""
        parts = relative.replace("\\", "/").split("/")
        if not relative or "\0" in relative or relative.startswith("/") or ".." in parts or "://" in relative:
            raise PathError(f"path {relative!r} is not below {self}; expected a path relative to it, without '..'")
        return Remote(self.store, f"{self.path}/{'/'.join(p for p in parts if p not in ('', '.'))}", self.cache)

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> Remote:
        """The folder it is in."""
        return Remote(self.store, self.path.rpartition("/")[0], self.cache)

    @property
    def suffix(self) -> str:
        """What the name ends with, from its last dot on."""
        return Path(self.name).suffix

    def files(self, suffix: str) -> Iterator[Remote]:
        """The files directly in it whose names end so, by name; none if it is no folder."""
        for found in self.store.listed(self.path) or ():
            if found.path.endswith(suffix):
                yield Remote(self.store, found.path, self.cache, found)

    def found(self) -> Found | None:
        """Size and age of the file, asked for once; None if there is none."""
        if self._found is None:
            self._found = self.store.found(self.path)
        return self._found

    def exists(self) -> bool:
        """Is it a file, or a folder with something in it?"""
        return self.found() is not None or bool(self.store.listed(self.path))

    def is_dir(self) -> bool:
        """Is it a folder?"""
        return self.found() is None and self.store.listed(self.path) is not None

    def read_bytes(self) -> bytes:
        """All of it.

        Raises:
            UserError: it can't be had, or is larger than anything that is read in one.
        """
        from gaze.stores.pieces import Pieces

        pieces = Pieces(self)
        if pieces.size > MOST_BYTES:
            raise UserError(
                f"{self} has {pieces.size} bytes; expected a picture of at most {MOST_BYTES}; make it smaller"
            )
        return pieces.read(pieces.size)


Place: TypeAlias = Path | Remote


def place(path: str | Path | Remote, cache: str | Path | None = None, cache_gb: float = CACHE_GB) -> Place:
    """What a path or an address means.

    Args:
        path: a path, a file:// address, or one of a store as pyarrow knows them: s3://, gs://, ...
        cache: folder for pieces of remote files; without one they can't be read.
        cache_gb: what it may hold.

    Raises:
        UserError: no cache for an address, or credentials in it.
    """
    if isinstance(path, (Remote, Path)):
        return path
    if not is_remote(path):
        if scheme_of(path) not in ("", "file"):
            raise UserError(
                f"{shown(path)} is in no kind of store that can be read; expected a path, or an address that begins with "
                f"{', '.join(f'{scheme}://' for scheme in STORES)}"
            )
        return Path(without_scheme(path))
    store = Store(path)
    if cache is None:
        raise UserError(
            f"{store.name(store.root)} is not on this machine; name a folder for what is fetched: dataset.cache"
        )
    return Remote(store, store.root, Cache(cache, max(int(cache_gb * GB), 1)))


def parquet_files(place: Place) -> list[Place]:
    """The *.parquet files of a folder by name, or the file itself; none if there is neither."""
    if isinstance(place, Path):
        return list(sorted(place.glob("*.parquet")) if place.is_dir() else [place] if place.exists() else [])
    if place.suffix == ".parquet" and place.found() is not None:
        return [place]
    return list(place.files(".parquet"))
