"""Prints what an evaluation found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow
from rich.console import Console
from rich.table import Table

from gaze.bootstrap import Interval
from gaze.breakdown import Part
from gaze.comparison import SEES, Figures

Intervals = Mapping[str, Mapping[str, Interval]]  # name of the model -> name of the figure -> 95 % interval


def figure_table(figures: Figures, title: str, intervals: Intervals | None = None) -> None:
    """Print the figures, a row for each model, and how far the first is ahead of the best baseline."""
    columns = list(dict.fromkeys(key for row in figures.values() for key in row))
    baselines = [name for name in figures if name in SEES]
    ends = intervals or {}

    def made(gap: str) -> Table:
        sheet = Table("", *(["what it sees"] if baselines else []), title=title, title_justify="left")
        for column in columns:
            sheet.add_column(column, justify="right")
        for name, row in figures.items():
            sees = [SEES.get(name, "the picture")] if baselines else []
            sheet.add_row(name, *sees, *_cells(row, ends.get(name, {}), columns, gap))
        return sheet

    console = _show(made)
    if baselines and "min_l2" in columns:
        ours, model = next((row["min_l2"], name) for name, row in figures.items() if name not in SEES)
        best = min(baselines, key=lambda name: figures[name]["min_l2"])
        theirs = figures[best]["min_l2"]
        console.print(
            f"{model}: min_l2 {abs(1 - ours / theirs):.0%} {'smaller' if ours < theirs else 'LARGER'} than the best "
            f"baseline's, that of '{best}'",
            soft_wrap=True,
        )


def part_table(parts: Sequence[Part], title: str) -> None:
    """Print a model's figures on the parts of the split, a row for each part."""
    columns = list(dict.fromkeys(key for part in parts for key in part.figures))

    def made(gap: str) -> Table:
        sheet = Table("", "", "heads", title=title, title_justify="left")
        sheet.columns[2].justify = "right"
        for column in columns:
            sheet.add_column(column, justify="right")
        kind = ""
        for part in parts:
            if part.kind != kind and kind:
                sheet.add_section()
            extent = f"{part.name}, {part.extent[0]:.3f} to {part.extent[1]:.3f}" if part.extent else part.name
            cells = _cells(part.figures, part.intervals, columns, gap)
            sheet.add_row("" if part.kind == kind else part.kind, extent, str(part.heads), *cells)
            kind = part.kind
        return sheet

    _show(made)


def fold_sheet(folds: pyarrow.Table, key: str, figures: Mapping[str, float], intervals: Mapping[str, Interval]) -> None:
    """Print one error for everybody who was left out, and below them the mean over people with its interval.

    Args:
        folds: as `gaze.screens.reports.fold_rows` makes them.
        key: name of the error.
        figures, intervals: that error over all people, by the name of the points.
    """
    names = [name for name in folds.column_names if name in figures]

    def made(gap: str) -> Table:
        sheet = Table("left out", "frames", title=f"{key} of those whom the run never saw", title_justify="left")
        for name in names:
            sheet.add_column(name.replace("_", " "), justify="right")
        for row in folds.to_pylist():
            sheet.add_row(row["left_out"], str(row["n"]), *(f"{row[name]:.3f}" for name in names))
        sheet.add_section()
        cells = _cells(figures, intervals, names, gap)
        sheet.add_row("mean over people", str(sum(folds["n"].to_pylist())), *cells)
        return sheet

    _show(made)


def plain_table(rows: pyarrow.Table, title: str) -> None:
    """Print a table as it is: words at the left, numbers at the right."""

    def made(gap: str) -> Table:
        sheet = Table(title=title, title_justify="left")
        for name in rows.column_names:
            sheet.add_column(
                name.replace("_", " "), justify="left" if pyarrow.types.is_string(rows[name].type) else "right"
            )
        for row in rows.to_pylist():
            sheet.add_row(*("" if v is None else f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()))
        return sheet

    _show(made)


def _cells(
    figures: Mapping[str, float], intervals: Mapping[str, Interval], columns: Iterable[str], gap: str
) -> list[str]:
    cells = []
    for column in columns:
        cell = f"{figures[column]:.4f}" if column in figures else ""
        if cell and column in intervals:
            low, high = intervals[column]
            cell += f"{gap}\\[{low:.4f}, {high:.4f}]"  # a bare bracket would begin a style
        cells.append(cell)
    return cells


def _show(made: Callable[[str], Table]) -> Console:
    """Print a table: intervals beside their figures, or below them where the terminal is too narrow for that."""
    console = Console()
    wide = made(" ")
    needed = console.measure(wide, options=console.options.update(max_width=1000)).maximum
    if not console.is_terminal:  # a file is as wide as its lines
        console = Console(width=max(console.width, needed))
    console.print(wide if needed <= console.width else made("\n"))
    return console
