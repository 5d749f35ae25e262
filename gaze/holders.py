"""Who holds a directory: what its lock file says, also to processes on other machines that share the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaze.errors import UserError

LOCK = ".lock"
BOOT = Path("/proc/sys/kernel/random/boot_id")
WITHOUT_LOCKS = "is on a file system that has no locks ({}), so two runs could write to it at once; choose a dir= on \
another disk, or have this one mounted with locks"


HELD: set[tuple[int, int, int]] = set()  # process, device and file of each lock that is held here; a fork holds none


@contextmanager
def hold(folder: Path, error: type[UserError], otherwise: str) -> Iterator[None]:
    """Hold a directory that exists: whoever else wants to fails at once, also within this process.

    Args:
        error: its class; `otherwise`: what a person may do but wait.

    Raises:
        UserError: of that class: it is held, by another process or by this one, or its file system has no locks.
    """
    if _held_here(folder):
        twice = BlockingIOError(errno.EAGAIN, "this process holds it")
        raise error(f"{folder} is in use by {told(mark())}, this one; end that use, or {otherwise}") from twice
    with (folder / LOCK).open("a+") as file:
        try:
            # Not flock: loader workers would inherit it, and hold it for a while after a kill.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as held:
            file.seek(0)
            raise error(f"{folder} is in use by {told(file.read())}; wait for it, or {otherwise}") from held
        except OSError as failed:
            raise error(f"{folder} {WITHOUT_LOCKS.format(failed.strerror)}") from failed
        file.truncate(0)
        file.write(mark())
        file.flush()
        HELD.add(own := _identity(os.fstat(file.fileno())))
        try:
            yield
        finally:
            HELD.discard(own)


def holder(folder: Path) -> int | None:
    """The process that holds a directory now: 0 if it has not said which it is; None if none does."""
    if _held_here(folder):
        return os.getpid()
    try:
        with (folder / LOCK).open("r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                return int(file.readline().strip() or 0)
    except FileNotFoundError:
        pass
    return None


def mark() -> str:
    """This process, in lines: its id, its machine, and which start of that."""
    return f"{os.getpid()}\n{socket.gethostname()}\n{_boot()}"


def told(text: str) -> str:
    """The process that wrote this mark, in words; ids of other machines say nothing here."""
    pid, host, boot, *_ = [*text.split("\n"), "", "", ""]
    here = (host or socket.gethostname(), boot or _boot()) == (socket.gethostname(), _boot())
    return f"process {pid.strip() or '?'}" + ("" if here else f" on {host}, another machine")


def _held_here(folder: Path) -> bool:
    """Does this process hold a directory?

    Locks are a process's: it may take one twice, and loses it when it closes any descriptor of that file. So it has to know
    before it opens another.
    """
    try:
        return _identity((folder / LOCK).stat()) in HELD
    except FileNotFoundError:
        return False


def _identity(lock: os.stat_result) -> tuple[int, int, int]:
    return os.getpid(), lock.st_dev, lock.st_ino


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""
