"""A page as Markdown, with its pictures as files in a folder beside it: sites that show Markdown take no pictures inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from gaze.loggers.note import code, word
from gaze.reports.blocks import Block, Code, Heading, Pictures, Row, Table, Text

LONGEST = 60  # letters of a cell


def markdown_page(blocks: Sequence[Block], folder: str) -> tuple[str, dict[str, bytes]]:
    """The text, and the pictures by their names in `folder`, which lies beside the text."""
    files: dict[str, bytes] = {}
    parts = [_block(block, folder, files) for block in blocks]
    return "\n\n".join(parts) + "\n", files


def _block(block: Block, folder: str, files: dict[str, bytes]) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {word(block.text)}"
    if isinstance(block, Text):
        return word(block.text)
    if isinstance(block, Code):
        return code(block.text)
    if isinstance(block, Table):
        line = "|".join(" ---: " if place in block.figures else " --- " for place in range(len(block.headings)))
        rows = [_row(Row(block.headings)), f"|{line}|", *(_row(row) for row in block.rows)]
        return "\n".join(rows)
    assert isinstance(block, Pictures)
    lines = []
    for picture in block.items:
        # Numbered, since runs have pictures of the same names; letters that mean something to no file system.
        place = PurePosixPath(picture.name)
        name = f"{len(files):03}_{re.sub(r'[^A-Za-z0-9_-]+', '_', place.stem)[:80]}{place.suffix}"
        files[name] = picture.data
        lines.append(f"![{word(picture.name)}]({quote(folder)}/{name})")
    return ("\n\n" if block.charts else " ").join(lines)


def _row(row: Row) -> str:
    cells = [word(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…") for text in row.cells]
    if row.mark == "first":
        cells[0] = f"**{cells[0]}**"
    return f"| {' | '.join(cells)} |"
