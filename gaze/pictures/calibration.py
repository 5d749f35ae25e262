"""Draws how error falls with the number of points that somebody was calibrated with."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pyarrow import Table

EMPHASISED = {"none": "black", "chosen": "navy"}


def curve_picture(table: Table, file: Path) -> None:
    """Write a PNG: a line per method, frames on the left and fixations on the right."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    rows = table.to_pylist()
    plain = max((row["before_cm"] for row in rows), default=1.0)
    for axes, column, what in zip(
        figure.subplots(1, 2), ("error_cm", "fixation_error_cm"), ("frame", "fixation"), strict=True
    ):
        for name in dict.fromkeys(row["method"] for row in rows):
            line = [(row["points"], row[column]) for row in rows if row["method"] == name]
            style = {"color": EMPHASISED[name], "linewidth": 2.5} if name in EMPHASISED else {"linewidth": 1.2}
            axes.plot(*zip(*line, strict=True), marker="o", markersize=4, label=name, **style)
        points = sorted({row["points"] for row in rows})
        axes.set_xscale("log")
        axes.set_xticks(points, [str(count) for count in points])
        axes.set_xticks([], minor=True)
        # Some methods explode with few points; what is worse than twice no calibration need not be readable.
        axes.set_ylim(0, 2 * plain)
        axes.set(xlabel="calibration points", ylabel=f"mean error of a {what} on held-out dots, cm")
        axes.grid(alpha=0.3)
    if rows:
        axes.legend(fontsize=8)
        figure.suptitle(f"{max(row['users'] for row in rows)} users, {rows[0]['draws']} draws of dots each")
    figure.savefig(file, dpi=90)
