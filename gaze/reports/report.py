"""One page about runs and searches: who is best, how they differ, their curves and their pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gaze.errors import UserError
from gaze.reports.blocks import Block, Heading, Pictures, Row, Table, Text
from gaze.reports.curves import curves
from gaze.reports.html import html_page
from gaze.reports.images import newest, picture
from gaze.reports.markdown import markdown_page
from gaze.reports.runs import GOOD, Damaged, RunSummary, differing, summaries
from gaze.reports.searches import search, trial_states
from gaze.sweeps.review import find_sweeps

COLUMNS = 12  # config keys that get a column; more would not fit on a screen
FORMATS = {"html": ".html", "markdown": ".md"}


def write_report(
    path: Path, out: Path | None = None, format: str | None = None, pictures: int = 6, shown: int = 10
) -> Path:
    """Write the page, and say where.

    HTML is one file with all pictures inside. Markdown has them in a folder beside it, called as the file but with
    `_pictures` at its end; those of an earlier page are replaced.

    Args:
        path: a run directory, that of a sweep, or a folder of them.
        out: the file; its directory is made. None: `report` in `path`.
        format: "html" or "markdown"; None: what the ending of `out` says, else HTML.
        pictures: of each run, the newest.
        shown: runs whose pictures are shown, the best.

    Raises:
        UserError: there is no run, or the format is unknown.
    """
    format = format or ("markdown" if out is not None and out.suffix == ".md" else "html")
    if format not in FORMATS:
        raise UserError(f"format is {format!r}; expected {' or '.join(FORMATS)}")
    out = out or path / f"report{FORMATS[format]}"
    sweeps = find_sweeps(path) if path.is_dir() else []
    found, damaged = summaries(path, trial_states(sweeps))
    blocks = _blocks(path, found, damaged, sweeps, pictures, shown)
    out.parent.mkdir(parents=True, exist_ok=True)
    if format == "html":
        _write(out, html_page(_title(found, path), blocks))
        return out
    folder = out.with_name(f"{out.stem}_pictures")
    text, files = markdown_page(blocks, folder.name)
    if files:
        folder.mkdir(exist_ok=True)
    for old in folder.glob("[0-9][0-9][0-9]_*"):
        old.unlink()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    _write(out, text)
    return out


def _blocks(
    path: Path, found: Sequence[RunSummary], damaged: Sequence[Damaged], sweeps: list[Path], pictures: int, shown: int
) -> list[Block]:
    blocks: list[Block] = [Heading(_title(found, path), level=1)]
    for folder in sweeps:
        blocks += search(folder, folder.relative_to(path).as_posix() if folder != path else path.absolute().name)
    if sweeps and found:
        blocks.append(Heading("Runs"))
    blocks += [*_table(found), *_damaged(damaged)]
    if found:
        chart = curves(found)
        blocks += [Heading("Curves"), Pictures([chart], charts=True) if chart else Text("No figures yet.", quiet=True)]
        if chart and len(found) > 8:
            blocks.append(Text("The best eight are in colour.", quiet=True))
    for summary in found[:shown]:
        files = newest(summary.path, pictures)
        if drawn := [made for file in files if (made := picture(file, file.name))]:
            blocks += [Heading(summary.name), Pictures(drawn)]
    return blocks


def _title(summaries: Sequence[RunSummary], path: Path) -> str:
    names = sorted({summary.parameters.get("name", summary.name) for summary in summaries})
    if not names:
        return path.absolute().name
    count = f"{len(summaries)} runs" if len(summaries) > 1 else summaries[0].name
    return f"{', '.join(names[:5])}{' …' if len(names) > 5 else ''}: {count}"


def _table(summaries: Sequence[RunSummary]) -> list[Block]:
    if not summaries:
        return []
    different = differing(summaries)
    columns = different[:COLUMNS]
    rows = []
    for number, summary in enumerate(summaries):
        value = f"{summary.best.values[summary.key]:.4g}" if summary.best else "none yet"
        at = f"{summary.best.step:,}" if summary.best else ""
        sign = {"maximize": "↑", "last": "at the end"}.get(summary.mode, "↓")
        cells = [summary.name, summary.state, f"{summary.key} {sign}", value, at, f"{summary.steps:,}"]
        cells += [f"{summary.minutes:.1f}", *(_short(summary.parameters.get(key, "–")) for key in columns)]
        first = number == 0 and len(summaries) > 1 and summary.best is not None
        rows.append(Row(cells, "first" if first else "" if summary.state in GOOD else "bad"))
    headings = ["run", "state", "decided by", "best", "at step", "steps", "minutes", *columns]
    blocks: list[Block] = [Table(headings, rows, frozenset(range(3, 7)))]
    if len(summaries) > 1:
        note = "Of the configs, only what differs is shown"
        note += f", and of that the first {COLUMNS} of {len(different)} keys." if len(different) > COLUMNS else "."
        blocks.append(Text(note, quiet=True))
    return blocks


def _short(text: str) -> str:
    """A number with the digits that a person reads; other texts as they are."""
    try:
        return f"{float(text):.4g}" if len(text) > 7 else text
    except ValueError:
        return text


def _damaged(damaged: Sequence[Damaged]) -> list[Block]:
    if not damaged:
        return []
    return [Heading("Could not be read"), Table(["run", "why"], [Row([d.name, d.reason], "bad") for d in damaged])]


def _write(file: Path, text: str) -> None:
    """Whole, or not at all."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, file)
