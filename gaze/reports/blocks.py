"""What a page is made of, before it is HTML or Markdown. All texts are as they are; who writes the page escapes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Heading:
    """A title; level 1 is that of the page."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; `quiet` is a note beside something."""

    text: str
    quiet: bool = False


@dataclass(frozen=True)
class Code:
    """A command line."""

    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table; `mark` is "first" for the best, "bad" for what went wrong."""

    cells: Sequence[str]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows below headings; `figures` are the columns of numbers."""

    headings: Sequence[str]
    rows: Sequence[Row]
    figures: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Picture:
    """A PNG or JPEG file."""

    name: str  # says what it shows, ends with .png or .jpg
    data: bytes


@dataclass(frozen=True)
class Pictures:
    """Pictures one after the other: charts as wide as the page, or samples beside each other."""

    items: Sequence[Picture]
    charts: bool = False


Block = Heading | Text | Code | Table | Pictures
