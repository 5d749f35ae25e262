"""Draws where people looked and where they were said to look, and who is how far off."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from pyarrow import Table

from gaze.datasets.screen_labels import CM
from gaze.screens.figures import figures
from gaze.screens.rows import PointRows
from gaze.screens.table import OURS, points_in, rows_in, unit_of

LINES = 400  # frames drawn as lines; more hide each other
BARS = 60  # users drawn as bars


def points_picture(table: Table, file: Path) -> None:
    """Write a PNG of three panels: truth to prediction, the error of each user, and all baselines beside ours."""
    figure = Figure(figsize=(15, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    rows = rows_in(table)
    _arrows(left, rows, unit_of(table))
    _users(middle, table, rows)
    _baselines(right, table)
    figure.savefig(file, dpi=90)


def _arrows(axes: Axes, rows: PointRows, unit: str) -> None:
    chosen = torch.linspace(0, len(rows) - 1, min(LINES, len(rows)), dtype=torch.float64).long().unique()
    some = rows.at(chosen)
    axes.add_collection(
        LineCollection(list(torch.stack([some.truth, some.point], 1).numpy()), colors="0.7", linewidths=0.8)
    )
    axes.scatter(*some.truth.T.numpy(), s=9, label="true", color="tab:green")
    axes.scatter(*some.point.T.numpy(), s=9, label="predicted", color="tab:red")
    origin = "camera" if unit == CM else "middle"  # labels without a screen are relative to its middle
    axes.scatter([0], [0], marker="P", s=60, color="black", label=origin)
    axes.set(
        xlabel=f"right of the {origin}, {spelt(unit)}",
        ylabel=f"above the {origin}, {spelt(unit)}",
        title=f"{len(some)} of {len(rows)} frames",
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(loc="upper right", fontsize=8)


def _users(axes: Axes, table: Table, rows: PointRows) -> None:
    names = table["subject"].to_pylist()
    error = (rows.point - rows.truth).norm(dim=-1)
    of_user: dict[str, list[float]] = {}
    for name, value in zip(names, error.tolist(), strict=True):
        of_user.setdefault(name, []).append(value)
    means = sorted(((sum(values) / len(values), name) for name, values in of_user.items()), reverse=True)[:BARS]
    axes.bar([name for _, name in means], [value for value, _ in means], color="tab:blue")
    axes.axhline(
        float(error.mean()), color="black", linewidth=1, label=f"mean {float(error.mean()):.2f} {spelt(unit_of(table))}"
    )
    axes.tick_params(axis="x", labelrotation=90, labelsize=7)
    worst = f", the worst {BARS}" if len(of_user) > BARS else ""
    axes.set(ylabel=f"mean error, {spelt(unit_of(table))}", title=f"{len(of_user)} users{worst}")
    axes.legend(fontsize=8)


def _baselines(axes: Axes, table: Table) -> None:
    errors = {name: figures(rows_in(table, name))["error_cm"] for name in points_in(table)}
    known = {name.replace("_", " "): value for name, value in errors.items() if value == value}
    bars = axes.barh(list(known), list(known.values()), color=["tab:red" if n == OURS else "0.6" for n in known])
    axes.bar_label(bars, fmt="%.2f")
    axes.invert_yaxis()
    axes.set(xlabel=f"mean error, {spelt(unit_of(table))}", title="ours and guesses that see no eye")


def spelt(unit: str) -> str:
    """A unit as people write it."""
    return unit.replace("_", " ")
