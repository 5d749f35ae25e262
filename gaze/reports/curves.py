"""The curves of runs: one chart per loss and per deciding figure, one line per run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gaze.pictures.charts import GREY, panels, plain, png, spans_decades
from gaze.reports.blocks import Picture
from gaze.reports.runs import RunSummary

COLOURED = 8  # the best runs; further ones are thin and grey
POINTS = 1500  # of a line, at most


def curves(summaries: Sequence[RunSummary]) -> Picture | None:
    """The chart, best runs in colour; None where no run has figures."""
    keys = list(dict.fromkeys(["train/loss", "val/loss", *(summary.key for summary in summaries)]))[:9]
    lines = {key: [(summary, _points(summary, key)) for summary in summaries] for key in keys}
    lines = {key: [(s, points) for s, points in found if points] for key, found in lines.items()}
    lines = {key: found for key, found in lines.items() if found}
    if not lines:
        return None
    figure, made = panels(len(lines), 3, 4.6, 3.3)
    coloured = {summary.name: f"C{place}" for place, summary in enumerate(summaries[:COLOURED])}
    for axes, (key, found) in zip(made, lines.items(), strict=True):
        for summary, points in reversed(found):  # the best on top
            best = summary.name in coloured
            axes.plot(
                *zip(*points, strict=True), label=plain(summary.name) if best else None, markersize=3,
                color=coloured.get(summary.name, GREY), linewidth=1.4 if best else 0.7, alpha=1.0 if best else 0.5,
                marker="o" if best and len(points) < 30 else None,
            )  # fmt: skip
        if spans_decades([value for _, points in found for _, value in points]):
            axes.set_yscale("log")
        axes.set_title(plain(key), fontsize=10)
        axes.set_xlabel("step")
    if len(summaries) > 1:
        handles, labels = made[0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return Picture("curves.png", png(figure))


def _points(summary: RunSummary, key: str) -> list[tuple[int, float]]:
    points = [(e.step, e.values[key]) for e in summary.entries if math.isfinite(e.values.get(key, math.nan))]
    return points[:: max(1, len(points) // POINTS)]
