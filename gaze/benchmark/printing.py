"""The rows of a benchmark as tables: on the screen, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table

from gaze.benchmark.machine import Limits

Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _amount(row: Row) -> str:
    return f"{row['bytes']:.3g} bytes each" if "bytes" in row else f"{row['per_second']:.4g} {row['unit']}"


RESULTS: Columns = {
    "workload": lambda row: row["workload"],
    "ours": lambda row: row["ours"],
    "a second": lambda row: _amount(row),
    "x published": lambda row: f"{row['ratio']:.2f} ({row['ratio_of_medians']:.2f})",
    "before": lambda row: _times(row.get("before")),
    "goal": lambda row: _times(row["goal"]),
    "x fair": lambda row: _times(row["fair_ratio"]),
    "of the limit": lambda row: _share(row["limit_share"]),
    "spread": lambda row: _share(row["spread"]),
    "once": lambda row: f"{row['warm_up_s']:.0f} s" if row["warm_up_s"] else "",
    "memory": lambda row: f"{row['memory_mb']:,.0f} MB" if row["memory_mb"] else "",
    "difference": lambda row: f"{row['difference']:.1e}" + ("" if row["same"] else " TOO LARGE"),
}
COSTS: Columns = {
    "workload": lambda row: row["workload"],
    "ours": lambda row: row["ours"],
    "ms": lambda row: f"{row['ms']:.4g} ({row['ms_median']:.4g})",
    "before": lambda row: _times(row.get("before")),
    "at most": lambda row: _times(row["most_ms"]),
    "without us": lambda row: f"{row['bare_ms']:.4g}",
    "more": lambda row: f"{row['more_ms']:.3g}",
    "share": lambda row: f"{row['more_share']:.1%} ({row['more_share_of_medians']:.1%})",
    "spread": lambda row: _share(row["spread"]),
    "": lambda row: ("" if row["within"] else "TOO LONG") + ("" if row["same"] else " DIFFERS"),
}
TITLES = {
    "results": "times faster, best of the rounds (of their medians)",
    "costs": "what things of ours take, best of the rounds (medians)",
}


def tables(results: Sequence[Row], costs: Sequence[Row]) -> list[Table]:
    """A table of each kind that has rows."""
    found = []
    for kind, rows, columns in (("results", results, RESULTS), ("costs", costs, COSTS)):
        if not rows:
            continue
        sheet = Table(title=TITLES[kind], title_justify="left")
        for number, heading in enumerate(used := _used(rows, columns)):
            sheet.add_column(heading, justify="left" if number < 2 else "right")
        for row in rows:
            sheet.add_row(*(used[heading](row) for heading in used))
        found.append(sheet)
    return found


def limits_table(limits: Limits) -> Table:
    """What the machine does at best."""
    sheet = Table("limit", title="what this machine does at best", title_justify="left")
    sheet.add_column("", justify="right")
    for row in limits.rows():
        sheet.add_row(*row)
    return sheet


def as_markdown(limits: Limits, results: Sequence[Row], costs: Sequence[Row]) -> str:
    """The same as Markdown, one table after the other."""
    parts = [_markdown(["limit", ""], limits.rows())]
    for rows, columns in ((results, RESULTS), (costs, COSTS)):
        if rows:
            used = _used(rows, columns)
            parts.append(_markdown(list(used), [[cell(row) for cell in used.values()] for row in rows]))
    return "\n".join(parts)


def _used(rows: Sequence[Row], columns: Columns) -> Columns:
    """The columns in which any row has something."""
    return {heading: cell for heading, cell in columns.items() if any(cell(row) for row in rows)}


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
