"""What a check found: one line for a person, and how bad it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from gaze.doctor.case import Case


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """One line: about what, how bad, and one sentence that ends with the remedy."""

    level: Level
    about: str
    said: str


Check = Callable[[Case], Iterator[Finding]]


class Group(NamedTuple):
    """Findings under one heading, and how long they took."""

    title: str
    findings: list[Finding]
    seconds: float


def ok(about: str, said: str) -> Finding:
    """Nothing to do."""
    return Finding(Level.OK, about, said)


def warning(about: str, said: str) -> Finding:
    """A run will work, but not as well as it could, or not for long."""
    return Finding(Level.WARNING, about, said)


def problem(about: str, said: str) -> Finding:
    """A run will fail."""
    return Finding(Level.PROBLEM, about, said)


def examine(case: Case, checks: Mapping[str, Sequence[Check]]) -> Iterator[Group]:
    """The findings of each group of checks; groups in which nothing applies are left out."""
    for title, group in checks.items():
        began = time.monotonic()
        found = [finding for check in group for finding in isolated(check, case)]
        if found:
            yield Group(title, found, time.monotonic() - began)


def isolated(check: Check, case: Case) -> list[Finding]:
    """What one check finds; a check that fails says so, and the others go on."""
    found: list[Finding] = []
    try:
        found.extend(check(case))
    except Exception as error:  # whatever a broken machine can raise
        name = check.__name__.replace("_", " ")
        found.append(warning(name, f"this check failed ({said(error)}); look at what it names, or report it"))
    return found


def said(error: BaseException, most: int = 400) -> str:
    """The first lines of an exception as one line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[:most]}…"


def size(count: float) -> str:
    """A number of bytes for a person."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
