"""Files and names that survive a power cut: on the disk, and not only in the system's memory.

A file is safe when its content was flushed *and* the directory that names it was.
"""

from __future__ import annotations

import os
from pathlib import Path


def make_directory(path: Path) -> None:
    """Make a directory, and those above it, so that they are still there after a power cut."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        flush(folder.parent)


def write_text(file: Path, text: str) -> None:
    """Write a small file whole, or not at all."""
    aside = file.with_name(f".{file.name}.writing")
    aside.write_text(text)
    flush(aside)
    os.replace(aside, file)
    flush(file.parent)


def flush(path: Path) -> None:
    """Wait until what a file holds, or the names that a directory holds, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
