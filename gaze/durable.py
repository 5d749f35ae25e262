"""Files and names that survive a power cut: on the disk, and not only in the system's memory.

A file is safe when its content was flushed *and* the directory that names it was.
"""

from __future__ import annotations

import glob
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

ABANDONED = 3600  # seconds after which a name aside is a killed writer's: writing takes less than one


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, so that they are still there after a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        flush(folder.parent)


def write_text(file: Path, text: str) -> None:
    """Write a small file whole, or not at all; of several writers at once, also on other machines, the last one's stays."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*.writing"):
        _remove_abandoned(left)
    aside = file.with_name(f".{file.name}.{secrets.token_hex(8)}.writing")
    try:
        aside.write_text(text)
        flush(aside)
        os.replace(aside, file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    flush(file.parent)


def flush(path: Path) -> None:
    """Wait until what a file holds, or the names that a directory holds, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(aside: Path) -> None:
    with suppress(FileNotFoundError):  # its writer has finished, or another one was faster
        if time.time() - aside.stat().st_mtime > ABANDONED:
            aside.unlink()
