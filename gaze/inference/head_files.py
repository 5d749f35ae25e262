"""Head boxes in a JSON or CSV file.

JSON::

    {"unit": "pixels",                                    or "fractions"
     "boxes": {"a.jpg": [[x0, y0, x1, y1], ...],          the name, or its path below the source folder
               "clip.mp4": {"0": [[...]], "75": [[...]]}}}     of a video: from frame 0 on, from frame 75 on

CSV: a header and one box a row, in the columns image, x0, y0, x1, y1, unit and, for videos, frame (from
which on it holds).

Who is who in a video can be said with numbers, at all of its boxes or at none: in JSON with
``{"person": 3, "box": [x0, y0, x1, y1]}`` for a box, in CSV with a column person.
"""

from __future__ import annotations

import csv
import json
from bisect import bisect_right
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.errors import UserError
from gaze.inference.heads import HeadsError, check_boxes, to_fractions

SUFFIXES = (".json", ".csv")
UNITS = ("pixels", "fractions")
COLUMNS = ("image", "x0", "y0", "x1", "y1", "unit")
SHOWN = 5  # names that a message spells out


class _Head(NamedTuple):
    unit: str
    box: list[float]
    person: int | None


_Frames = dict[int, list[_Head]]  # by the frame from which on they hold, in ascending order


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
        found = read(text, self.path)
        self.boxes: dict[str, _Frames] = {name: dict(sorted(frames.items())) for name, frames in found.items()}
        # Looked up at every frame of a video that may have a row for each: neither may walk through them all.
        self.starts = {name: list(frames) for name, frames in self.boxes.items()}
        self.known = {name: _knows_persons(frames, f"{self.path}, {name}") for name, frames in self.boxes.items()}

    def __call__(self, name: str, picture: UInt8[Tensor, "3 H W"], frame: int = 0) -> Float[Tensor, "n 4"]:
        size = (picture.shape[-2], picture.shape[-1])
        rows = self._rows(name, frame)
        heads = [to_fractions([row.box], row.unit, size, f"{self.path}, {name}") for row in rows]
        return torch.cat(heads) if heads else torch.zeros(0, 4)

    def persons(self, name: str, frame: int) -> list[int] | None:
        """Who the boxes of a frame belong to, in their order; None if the file does not say."""
        rows = self._rows(name, frame)
        return [row.person for row in rows if row.person is not None] if self.known[self._entry(name)] else None

    def _rows(self, name: str, frame: int) -> list[_Head]:
        entry = self._entry(name)
        place = bisect_right(self.starts[entry], frame)
        return self.boxes[entry][self.starts[entry][place - 1]] if place else []

    def _entry(self, name: str) -> str:
        for entry in (name, Path(name).name):
            if entry in self.boxes:
                return entry
        known = ", ".join(list(self.boxes)[:SHOWN]) or "none"
        raise HeadsError(f"{self.path} has no boxes for {name}; it has some for {known}; add an entry")


def _read_json(text: str, path: Path) -> dict[str, _Frames]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise HeadsError(f"{path} is not JSON ({error}); correct it") from error
    if not isinstance(document, dict) or not isinstance(document.get("boxes"), dict):
        raise HeadsError(
            f'{path} has no "boxes"; expected {{"unit": "pixels", "boxes": {{"photo.jpg": [[x0, y0, x1, y1]]}}}}'
        )
    unit = _unit(document.get("unit"), str(path))
    found: dict[str, _Frames] = {}
    for name, entry in document["boxes"].items():
        frames = entry if isinstance(entry, dict) else {"0": entry}
        found[name] = {
            _frame(first, f"{path}, {name}"): _heads(boxes, unit, f"{path}, {name}") for first, boxes in frames.items()
        }
    return found


def _read_csv(text: str, path: Path) -> dict[str, _Frames]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise HeadsError(
            f"{path} has no column {', '.join(missing)}; expected a header with {','.join(COLUMNS)} and, for videos, frame"
        )
    found: dict[str, _Frames] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        box = check_boxes([[row[column] for column in ("x0", "y0", "x1", "y1")]], where)[0]
        frame = _frame(row.get("frame") or "0", where)
        found.setdefault(row["image"], {}).setdefault(frame, []).append(
            _Head(_unit(row["unit"], where), box, _person(row.get("person") or None, where))
        )
    return found


def _heads(rows: Any, unit: str, where: str) -> list[_Head]:
    people = [row if isinstance(row, dict) else {"box": row} for row in rows] if isinstance(rows, list) else []
    boxes = check_boxes([row.get("box") for row in people] if people else rows, where)
    return [_Head(unit, box, _person(row.get("person"), where)) for box, row in zip(boxes, people, strict=True)]


def _knows_persons(frames: _Frames, where: str) -> bool:
    """Do the boxes of a picture or video say whose they are?"""
    heads = [row for rows in frames.values() for row in rows]
    named = sum(row.person is not None for row in heads)
    if 0 < named < len(heads):
        raise HeadsError(
            f"{where}: {named} of its {len(heads)} boxes say which person they are; expected all of them or none"
        )
    for frame, rows in frames.items():
        persons = [row.person for row in rows if row.person is not None]
        twice = next((person for person in persons if persons.count(person) > 1), None)
        if twice is not None:
            raise HeadsError(f"{where}: person {twice} has two boxes from frame {frame} on; expected one each")
    return named > 0


def _person(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not (isinstance(value, int) or str(value).isdecimal()) or int(value) < 0:
        raise HeadsError(f"{where}: the person is {value!r}; expected a number, 0 or more, the same in all frames")
    return int(value)


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
