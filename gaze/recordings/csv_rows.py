"""A CSV file row by row, where each cell that is not what it should be is named by line, column and value."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gaze.datasets.faults import Fault
from gaze.datasets.paths import PathError, inside
from gaze.errors import UserError

T = TypeVar("T")


class CellError(ValueError):
    """A cell that can't be used: its fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True)
class CsvRow:
    """One row; every question it can't answer is a CellError."""

    file: str
    line: int  # where in the file, from 1; the last one of a row with line breaks in it
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """What the cell says; something."""
        value = self.cells[column].strip()
        if not value:
            raise self.wrong(column, "something")
        return value

    def number(self, column: str) -> float:
        """A finite number."""
        try:
            value = float(self.cells[column])
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.wrong(column, "a finite number")
        return value

    def whole(self, column: str, allowed: Sequence[int] | None = None) -> int:
        """A whole number, maybe one of a few."""
        value = self.number(column)
        if value != int(value) or (allowed is not None and int(value) not in allowed):
            raise self.wrong(column, f"one of {', '.join(map(str, allowed))}" if allowed else "a whole number")
        return int(value)

    def file_in(self, column: str, root: str) -> Path:
        """A file below the root that is there."""
        try:
            path = inside(root, self.text(column))
        except PathError as error:
            raise self.wrong(column, f"a file below {root}") from error
        if not os.path.isfile(path):
            raise self.wrong(column, f"a file that is there, below {root}")
        return Path(path)

    def wrong(self, column: str, expected: str) -> CellError:
        """The error that a cell is, for the caller to raise."""
        found = f"{column} is {self.cells[column]!r}"
        return CellError(Fault(f"{self.file}:line {self.line}", found, expected, "correct or remove the row"))


def parse(path: Path, needed: Sequence[str], make: Callable[[CsvRow], T]) -> tuple[list[T], list[Fault]]:
    """What `make` makes of the rows, and the faults of those of which it can't make anything.

    Args:
        path: a CSV file in UTF-8 whose first line names the columns.
        needed: columns that must be there.

    Raises:
        UserError: the file as a whole can't be used.
    """
    made: list[T] = []
    faults: list[Fault] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            names = [name.strip() for name in reader.fieldnames or ()]
            _check_header(path, names, needed)
            reader.fieldnames = names
            for cells in reader:
                row = CsvRow(path.name, reader.line_num, cells)
                if "" in cells or None in cells.values():
                    found = f"{sum(v is not None for k, v in cells.items() if k) + len(cells.get('') or ())} cells"
                    expected = f"{len(names)}, as the first line has"
                    faults.append(Fault(f"{path.name}:line {row.line}", found, expected, "correct or remove the row"))
                    continue
                try:
                    made.append(make(row))
                except CellError as error:
                    faults.append(error.fault)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist; expected a CSV file with the columns {', '.join(needed)}; correct root or file"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} can't be read ({error}); expected a CSV file in UTF-8; save it as that") from error
    return made, faults


def _check_header(path: Path, names: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)}; its first line has {', '.join(names) or 'nothing'}; name the columns "
            "that it has in recording.columns"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path} has several columns {', '.join(twice)}; rename all but one of each")
