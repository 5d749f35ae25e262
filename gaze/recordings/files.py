"""The files of recordings: each opened with one clear sentence about what is wrong with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gaze.datasets.image import ImageError, image_size
from gaze.errors import UserError
from gaze.mat_claims import read_matlab


class RecordingError(UserError):
    """A recording that can't be read as it is. Others of the data set may be fine."""


def existing_folder(path: Path, holds: str, source: str) -> Path:
    """The folder, if it is there.

    Args:
        path: where it should be.
        holds: what it should hold, for the message.
        source: where one gets it.

    Raises:
        UserError: it is not.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a folder; expected {holds}, from {source}; correct root, or unpack it there")
    return path


def read_text(path: Path, holds: str, source: str) -> str:
    """The text of a file, without a byte-order mark.

    Raises:
        RecordingError: there is none, or it is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise RecordingError(f"{path} is missing; expected {holds}, from {source}; restore the file") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecordingError(f"{path} can't be read ({reason}); expected {holds}; restore the file") from error


def read_json(path: Path, holds: str, source: str) -> Any:
    """What a JSON file says.

    Raises:
        RecordingError: it is missing or damaged.
    """
    text = read_text(path, holds, source)
    try:
        return json.loads(text)
    except ValueError as error:
        raise RecordingError(f"{path} is not JSON ({error}); expected {holds}; restore the file") from error


def read_columns(path: Path, names: Sequence[str], length: int, source: str) -> dict[str, Float[np.ndarray, "n"]]:
    """The arrays of a JSON file that holds one list of numbers per name; null is NaN.

    Raises:
        RecordingError: a list is missing, holds something else or has not `length` entries.
    """
    holds = f"lists {', '.join(names)} with one number per frame"
    table = read_json(path, holds, source)
    if not isinstance(table, Mapping):
        raise RecordingError(f"{path} holds a {type(table).__name__}; expected {holds}; restore the file")
    columns = {}
    for name in names:
        if not isinstance(table.get(name), list):
            raise RecordingError(f"{path} has no list {name!r}; expected {holds}; restore the file")
        try:
            columns[name] = np.asarray([math.nan if v is None else v for v in table[name]], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise RecordingError(f"{path}: {name} holds what is no number ({error}); restore the file") from error
        if columns[name].shape != (length,):
            raise RecordingError(
                f"{path}: {name} has {len(table[name])} entries, and frames.json {length}; restore both files"
            )
    return columns


def read_mat(path: Path, names: Sequence[str], source: str) -> dict[str, np.ndarray]:
    """The arrays of a MATLAB file (of version 5 to 7.2).

    Raises:
        RecordingError: it is missing, damaged, or lacks one of them.
    """
    holds = f"MATLAB arrays {', '.join(names)}"
    if not path.is_file():
        raise RecordingError(f"{path} is missing; expected {holds}, from {source}; restore the file")
    try:
        arrays = read_matlab(path)
    # A damaged file makes scipy raise whatever comes: struct, zlib, index, memory and its own errors.
    except Exception as error:
        raise RecordingError(f"{path} can't be read ({error}); expected {holds}; restore the file") from error
    missing = [name for name in names if name not in arrays]
    if missing:
        raise RecordingError(f"{path} lacks {', '.join(missing)}; expected {holds}; restore the file")
    return {name: np.asarray(arrays[name]) for name in names}


def upright_size(path: Path) -> tuple[int, int] | None:
    """(width, height) of a picture in pixels as it is seen, or None if it can't be opened."""
    try:
        height, width = image_size(path)
    except ImageError:
        return None
    return width, height


def read_subjects(path: str | Path | None) -> dict[str, str]:
    """Who is in each recording, from a JSON file {recording: subject}; empty without one.

    Raises:
        UserError: the file is missing or something else.
    """
    if path is None:
        return {}
    holds = "a JSON object {recording: subject}"
    subjects = read_json(Path(path), holds, "you: it says which recordings are of one person")
    if not isinstance(subjects, dict) or not all(isinstance(name, str) for name in subjects.values()):
        raise UserError(f"{path} holds no table of names; expected {holds}")
    return subjects
