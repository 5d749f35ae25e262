"""Makes a folder as a whole: it is there when it is complete, or what was there before still is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gaze.errors import UserError
from gaze.synthesis.manifest import Manifest, already_there, describe


def write_whole(
    root: Path, manifest: Manifest, overwrite: bool, unit: str, layout: str, write: Callable[[Path], None]
) -> bool:
    """Make the data set that a manifest records, and describe it; False if it is there, and nothing was done.

    Args:
        root: the folder to make. It appears under its name when it is complete.
        overwrite: replace a folder that was written before.
        unit, layout: see `describe`.
        write: fills a folder with everything but its record and its description.

    Raises:
        UserError: the folder exists and holds something else, or can't be written.
    """
    recover(root)
    if already_there(root, manifest, overwrite):
        return False
    with replacing(root) as folder:
        write(folder)
        (folder / "world.json").write_text(manifest.text())
        (folder / "README.txt").write_text(describe(manifest, unit, layout))
    return True


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
