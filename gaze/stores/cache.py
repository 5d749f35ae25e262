"""A folder of pieces of remote files, shared by processes and runs."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gaze.errors import UserError

log = logging.getLogger(__name__)

_LOCKS = 256  # files that writers of entries wait at; two entries seldom share one
_SLACK = 0.9  # what is left when the cache was full, as a share of its limit
_STALE_S = 3600.0  # age at which what a killed process left half-written is removed


class Cache:
    """Pieces by key. A piece is as it was put, or it is not there: size and checksum are looked at whenever one is taken.

    Pieces appear whole (written aside, renamed), and when there is more than `limit` the least recently used go first.

    Args:
        folder: made if it does not exist; may be removed at any time.
        limit: bytes; exceeded by a sixteenth at most by each process that writes.
    """

    def __init__(self, folder: Path | str, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"the limit of a cache is {limit} bytes; expected 1 or more")
        self.folder, self.limit = Path(folder), limit
        self._since = limit  # bytes written since the folder was last looked at: at first nobody knows what is there

    def get(self, key: str) -> bytes | None:
        """The piece, if it is there and whole."""
        path = self._path(key)
        try:
            stored = path.read_bytes()
        except OSError:  # not there, or another user's
            return None
        data, check = stored[:-12], stored[-12:]
        if check != _check(data):
            log.warning("%s is damaged; it is fetched again", path)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # another process may have made room just now, or the piece is another user's
            os.utime(path)  # used now
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep a piece. A full disk is no error: it is fetched again next time."""
        path = self._path(key)
        aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(data + _check(data))
            aside.replace(path)
        except OSError as error:
            with suppress(OSError):
                aside.unlink()
            log.warning("%s can't be written (%s); what it was to hold is fetched again each time", path, error)
            return
        self._since += len(data)
        if self._since > self.limit / 16:
            self._since = 0
            self._shrink()

    def drop(self, key: str) -> None:
        """Forget a piece that turned out to be wrong."""
        with suppress(OSError):
            self._path(key).unlink()

    @contextmanager
    def fetching(self, key: str) -> Iterator[None]:
        """Held by who fetches a piece, so that of several processes that need it only one does.

        Raises:
            UserError: the folder can't be written at all.
        """
        lock = FileLock(self.folder / "locks" / f"{int(self._path(key).name[:8], 16) % _LOCKS:03d}")
        try:
            Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise UserError(
                f"the cache {self.folder} can't be written ({error}); choose another: dataset.cache"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def _path(self, key: str) -> Path:
        name = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
        return self.folder / name[:2] / name

    def _shrink(self) -> None:
        """Remove what was not used for longest, until there is room; one process at a time."""
        try:
            with FileLock(self.folder / "shrink.lock", timeout=0):
                found = sorted(self._entries())
                total = sum(size for _, size, _ in found)
                for _, size, path in found if total > self.limit else ():
                    if total <= _SLACK * self.limit:
                        break
                    with suppress(FileNotFoundError):
                        os.unlink(path)
                    total -= size
        except Timeout:
            return
        except OSError as error:  # the folder was removed, or is another user's
            log.warning("the cache %s can't be kept within its limit (%s)", self.folder, error)

    def _entries(self) -> Iterator[tuple[float, int, str]]:
        """When each was last used, its bytes and path."""
        for folder in self.folder.glob("[0-9a-f][0-9a-f]"):
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        told = entry.stat()
                    except FileNotFoundError:
                        continue
                    if not entry.name.startswith("."):
                        yield told.st_mtime, told.st_size, entry.path
                    elif time.time() - told.st_mtime > _STALE_S:
                        Path(entry.path).unlink(missing_ok=True)


def _check(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + zlib.crc32(data).to_bytes(4, "little")
