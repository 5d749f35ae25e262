"""What is wrong with a data set, collected so that it can be reported all at once, with file and row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

SHOWN = 20  # faults that a message spells out; the rest is counted

MANY = 3  # faults that are alike but for where they are, beyond which they are told as one


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
    """The first faults, one a line, and how many there are; one line for many that differ only in where they are."""
    alike: dict[tuple[str, ...], list[Fault]] = {}
    for fault in faults:
        alike.setdefault(fault[1:], []).append(fault)
    told: list[tuple[str, int]] = []
    for same in alike.values():
        if len(same) > MANY:
            where = f"{', '.join(fault.where for fault in same[:MANY])} and {len(same) - MANY} more"
            told.append((str(same[0]._replace(where=where)), len(same)))
        else:
            told += [(str(fault), 1) for fault in same]
    lines = [f"{name} has {len(faults)} {'fault' if len(faults) == 1 else 'faults'}:", *(t for t, _ in told[:SHOWN])]
    if len(told) > SHOWN:
        lines.append(f"... and {sum(count for _, count in told[SHOWN:])} more")
    return "\n  ".join(lines)
