"""Draws where people looked and where they were said to look, and who is how far off."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from pyarrow import Table

from gaze.label_units import CM, words
from gaze.screens.figures import figures, named
from gaze.screens.rows import PointRows, unit_of
from gaze.screens.table import OURS, rows_by_name, rows_in

LINES = 400  # frames drawn as lines; more hide each other
BARS = 60  # users drawn as bars


def points_picture(table: Table, file: Path) -> None:
    """Write a PNG of three panels: truth to prediction, the error of each user, and all baselines beside ours."""
    figure = Figure(figsize=(15, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    rows = rows_in(table)
    _arrows(left, rows)
    _users(middle, table, rows)
    _baselines(right, table)
    figure.savefig(file, dpi=90)


def _arrows(axes: Axes, rows: PointRows) -> None:
    chosen = torch.linspace(0, len(rows) - 1, min(LINES, len(rows)), dtype=torch.float64).long().unique()
    some = rows.at(chosen)
    axes.add_collection(
        LineCollection(list(torch.stack([some.truth, some.point], 1).numpy()), colors="0.7", linewidths=0.8)
    )
    axes.scatter(*some.truth.T.numpy(), s=9, label="true", color="tab:green")
    axes.scatter(*some.point.T.numpy(), s=9, label="predicted", color="tab:red")
    unit = unit_of(rows)
    middle = "camera" if unit == CM else "middle of the window"
    axes.scatter([0], [0], marker="P", s=60, color="black", label=middle)
    axes.set(
        xlabel=f"right of the {middle}, {words(unit)}",
        ylabel=f"above the {middle}, {words(unit)}",
        title=f"{len(some)} of {len(rows)} frames",
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="upper right", fontsize=8)


def _users(axes: Axes, table: Table, rows: PointRows) -> None:
    names, unit = table["subject"].to_pylist(), words(unit_of(rows))
    error = (rows.point - rows.truth).norm(dim=-1)
    of_user: dict[str, list[float]] = {}
    for name, value in zip(names, error.tolist(), strict=True):
        of_user.setdefault(name, []).append(value)
    means = sorted(((sum(values) / len(values), name) for name, values in of_user.items()), reverse=True)[:BARS]
    axes.bar([name for _, name in means], [value for value, _ in means], color="tab:blue")
    axes.axhline(float(error.mean()), color="black", linewidth=1, label=f"mean {float(error.mean()):.2f} {unit}")
    axes.tick_params(axis="x", labelrotation=90, labelsize=7)
    worst = f", the worst {BARS}" if len(of_user) > BARS else ""
    axes.set(ylabel=f"mean error, {unit}", title=f"{len(of_user)} users{worst}")
    axes.legend(fontsize=8)


def _baselines(axes: Axes, table: Table) -> None:
    found = rows_by_name(table)
    unit = unit_of(found[OURS])
    errors = {name: figures(rows)[named("error_cm", unit)] for name, rows in found.items()}
    known = {name.replace("_", " "): value for name, value in errors.items() if value == value}
    bars = axes.barh(list(known), list(known.values()), color=["tab:red" if n == OURS else "0.6" for n in known])
    axes.bar_label(bars, fmt="%.2f")
    axes.invert_yaxis()
    axes.margins(x=0.12)  # for the numbers
    axes.set(xlabel=f"mean error, {words(unit)}", title="ours and guesses that see no eye")
