"""Makes a folder as a whole: it is there when it is complete, or what was there before still is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gaze.errors import UserError


def recover(root: Path) -> None:
    """Finish or undo a replacement that was killed between its two renames."""
    old = _beside(root, "old")
    if old.exists() and root.exists():
        shutil.rmtree(old)
    elif old.exists():
        old.rename(root)


@contextmanager
def replacing(root: Path) -> Iterator[Path]:
    """A new folder beside `root` that takes its place in the end, or vanishes if anything goes wrong."""
    folder, old = _beside(root, "tmp"), _beside(root, "old")
    try:
        shutil.rmtree(folder, ignore_errors=True)  # left by a run that was killed
        folder.mkdir(parents=True)
        yield folder
        if root.exists():
            root.rename(old)
        folder.rename(root)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if old.exists():
            old.rename(root)
        if isinstance(error, OSError):
            reason = error.strerror or error
            raise UserError(
                f"{root} can't be written: {reason}; free space, or choose another folder with out="
            ) from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def _beside(root: Path, suffix: str) -> Path:
    return root.with_name(f"{root.name}.{suffix}")
