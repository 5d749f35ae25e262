"""What is wrong with a data set, collected so that it can be reported all at once, with file and row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 20  # faults that a message spells out; the rest is counted


class Fault(NamedTuple):
    """One thing that is wrong with the files of a data set."""

    where: str  # file and row, or the image
    found: str
    expected: str  # nothing where `do` says it
    do: str

    def __str__(self) -> str:
        expected = f"expected {self.expected}; " if self.expected else ""
        return f"{self.where}: {self.found}; {expected}{self.do}"


class DatasetError(ValueError):
    """A data set that can't be used as it is. Raised at construction, before training begins."""


class EmptySplitError(DatasetError):
    """A split that a data set may have, and this one does not."""


def report(name: str, faults: Sequence[Fault]) -> str:
    """The first faults, one a line, and how many there are."""
    lines = [f"{name} has {len(faults)} {'fault' if len(faults) == 1 else 'faults'}:", *map(str, faults[:SHOWN])]
    if len(faults) > SHOWN:
        lines.append(f"... and {len(faults) - SHOWN} more")
    return "\n  ".join(lines)
