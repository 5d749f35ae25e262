"""Label files of GazeHub: a header, and a line of words per picture, whose columns are found by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from gaze.datasets.faults import DatasetError, Fault

log = logging.getLogger(__name__)

# What a column means, and the names that it has in one data set or another, in small letters.
NAMES = {
    "face": ("face",),
    "vector": ("3dgaze", "gaze3d"),
    "angles": ("2dgaze", "gaze2d", "gaze"),
    "head": ("2dhead", "head2d", "head"),
    "origin": ("origin", "metapath"),
    "eye": ("whicheye",),
    "rotation": ("rmat", "rvec"),  # a vector in both spellings
    "scale": ("smat", "svec"),  # three entries of a diagonal in both
    "matrix": ("normmat",),
    "camera": ("cam_index",),
    "frame": ("frame_index",),
}
UNREAD = ("left", "right", "3dhead", "head3d", "gazeorigin")  # known, and needed by nothing here
SOURCE = "the GazeHub scripts for 3D gaze (phi-ai.buaa.edu.cn/Gazehub)"

_LOST = (
    "no column of gaze, which other files of the folder have",
    "3DGaze, 2DGaze or gaze in the header",
    "correct the header, or move the file elsewhere",
)


@dataclass(frozen=True)
class LabelFile:
    """The well-formed lines of a file: for each meaning the words of its column."""

    path: Path
    columns: dict[str, list[str]]
    lines: list[int]  # numbers in the file, from 1

    @property
    def has_gaze(self) -> bool:
        """Is there a column of gaze?"""
        return bool({"vector", "angles"} & set(self.columns))

    def numbers(self, meaning: str, count: int) -> tuple[Float[np.ndarray, "n c"], dict[int, str]]:
        """A column of comma-separated numbers, and what is wrong in which place; NaN there and where there is no column."""
        values = np.full((len(self.lines), count), np.nan)
        wrong: dict[int, str] = {}
        for at, cell in enumerate(self.columns.get(meaning, ())):
            try:
                values[at] = [float(part) for part in cell.split(",")]
            except ValueError:  # not a number, or not as many
                wrong[at] = f"{meaning} is {cell!r}; expected {count} numbers with commas between"
        return values, wrong


def read_labels(path: Path) -> tuple[LabelFile, list[Fault]]:
    """What a file says, and its lines that have more or fewer words than its header.

    Raises:
        DatasetError: the file can't be read, or its header lacks the face.
    """
    header, *rest = _text(path).splitlines() or [""]
    names = header.lower().split()
    found = {meaning: next((names.index(n) for n in spelt if n in names), None) for meaning, spelt in NAMES.items()}
    known = {name for spelt in NAMES.values() for name in spelt} | set(UNREAD)
    strange = [name for name in header.split() if name.lower() not in known]
    if found["face"] is None or len(set(names)) < len(names):
        raise DatasetError(
            f"{path}:1: the header is {header.strip()!r}; expected different names, Face among them, and of these: "
            f"{', '.join(sorted(known))}; not known: {', '.join(strange) or 'none'}; correct it, or take the file from {SOURCE}"
        )
    if strange:
        log.warning("%s:1: columns that are not read: %s", path, ", ".join(strange))
    rows, lines, faults = [], [], []
    for number, line in enumerate(rest, start=2):
        cells = line.split()
        if len(cells) == len(names):
            rows.append(cells)
            lines.append(number)
        elif cells:
            faults.append(Fault(f"{path}:{number}", f"{len(cells)} fields", f"the header's {len(names)}", "correct it"))
    columns = {meaning: [row[at] for row in rows] for meaning, at in found.items() if at is not None}
    return LabelFile(path, columns, lines), faults


def label_files(folder: Path) -> list[Path]:
    """All label files below a folder.

    Raises:
        DatasetError: there is none.
    """
    files = sorted(folder.rglob("*.label"))
    if not files:
        what = "holds no file *.label" if folder.is_dir() else "is not a folder"
        raise DatasetError(f"{folder} {what}; expected label files from {SOURCE}; correct root, or unpack it there")
    return files


def lost_gaze(files: Sequence[LabelFile]) -> dict[Path, list[Fault]]:
    """The faults of files without gaze beside others that have it; published test files have none and are at no fault."""
    found = {}
    for file in files if any(file.has_gaze for file in files) else ():
        if not file.has_gaze and not file.path.stem.startswith("test") and file.path.parent.name != "test":
            found[file.path] = [Fault(f"{file.path}:{number}", *_LOST) for number in file.lines or [1]]
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"{path} can't be read ({reason}); expected label lines from {SOURCE}; restore it"
        ) from error
