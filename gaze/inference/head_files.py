"""Head boxes in a JSON or CSV file.

JSON::

    {"unit": "pixels",                                    or "fractions"
     "boxes": {"a.jpg": [[x0, y0, x1, y1], ...],          the name, or its path below the source folder
               "clip.mp4": {"0": [[...]], "75": [[...]]}}}     of a video: from frame 0 on, from frame 75 on

CSV: a header and one box a row, in the columns image, x0, y0, x1, y1, unit and, for videos, frame (from
which on it holds).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.errors import UserError
from gaze.inference.heads import HeadsError, check_boxes, to_fractions

SUFFIXES = (".json", ".csv")
UNITS = ("pixels", "fractions")
COLUMNS = ("image", "x0", "y0", "x1", "y1", "unit")
SHOWN = 5  # names that a message spells out

Boxes = list[tuple[str, list[float]]]  # unit and box


class FileHeads:
    """The boxes that a file gives for each picture; see the module for what it holds.

    Raises:
        UserError: the file cannot be read, or does not hold what it should.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            text = self.path.read_text(encoding="utf-8-sig")  # spreadsheets begin their CSV with a mark
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UserError(f"head boxes {self.path} can't be read ({reason}); expected a JSON or CSV file") from error
        read = _read_json if self.path.suffix.lower() == ".json" else _read_csv
        self.boxes: dict[str, dict[int, Boxes]] = read(text, self.path)

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], frame: int = 0) -> Float[Tensor, "n 4"]:
        frames = self.boxes.get(name, self.boxes.get(Path(name).name))
        if frames is None:
            known = ", ".join(list(self.boxes)[:SHOWN]) or "none"
            raise HeadsError(f"{self.path} has no boxes for {name}; it has some for {known}; add an entry")
        since = max((first for first in frames if first <= frame), default=None)
        size = (picture.shape[-2], picture.shape[-1])
        rows = [] if since is None else frames[since]
        heads = [to_fractions([box], unit, size, f"{self.path}, {name}") for unit, box in rows]
        return torch.cat(heads) if heads else torch.zeros(0, 4)


def _read_json(text: str, path: Path) -> dict[str, dict[int, Boxes]]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise HeadsError(f"{path} is not JSON ({error}); correct it") from error
    if not isinstance(document, dict) or not isinstance(document.get("boxes"), dict):
        raise HeadsError(
            f'{path} has no "boxes"; expected {{"unit": "pixels", "boxes": {{"photo.jpg": [[x0, y0, x1, y1]]}}}}'
        )
    unit = _unit(document.get("unit"), str(path))
    found: dict[str, dict[int, Boxes]] = {}
    for name, entry in document["boxes"].items():
        frames = entry if isinstance(entry, dict) else {"0": entry}
        found[name] = {
            _frame(first, f"{path}, {name}"): [(unit, box) for box in check_boxes(boxes, f"{path}, {name}")]
            for first, boxes in frames.items()
        }
    return found


def _read_csv(text: str, path: Path) -> dict[str, dict[int, Boxes]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise HeadsError(
            f"{path} has no column {', '.join(missing)}; expected a header with {','.join(COLUMNS)} and, for videos, frame"
        )
    found: dict[str, dict[int, Boxes]] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        box = check_boxes([[row[column] for column in ("x0", "y0", "x1", "y1")]], where)[0]
        frame = _frame(row.get("frame") or "0", where)
        found.setdefault(row["image"], {}).setdefault(frame, []).append((_unit(row["unit"], where), box))
    return found


def _unit(value: Any, where: str) -> str:
    if value not in UNITS:
        raise HeadsError(f"{where}: the unit is {value!r}; expected {' or '.join(UNITS)}")
    return str(value)


def _frame(value: str, where: str) -> int:
    if not value.isdigit():
        raise HeadsError(
            f"{where}: {value!r} is no frame; expected the number, from 0, of the first that the boxes hold for"
        )
    return int(value)
