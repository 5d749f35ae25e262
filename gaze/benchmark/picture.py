"""The rows of a benchmark as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gaze.pictures.charts import BLUE, GREY, INK, ORANGE, RED, panels, plain, png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
COLOURS = {
    "gazelle": BLUE,
    "pog": ORANGE,
    "gazeformer": "#3f9b6c",
    "gazegaussian": "#8b5fbf",
    "shared": GREY,
}
INCHES = 0.24  # of a bar


def ratios_picture(rows: Sequence[Row]) -> bytes:
    """How many times faster each row is, with the fair peer, the goal and an earlier run; beside it the share of the limit.

    Returns:
        A PNG file.
    """
    figure, (left, right) = _side_by_side(rows)
    places = range(len(rows))
    ratios, colours = [row["ratio"] for row in rows], _colours(rows)
    left.set_xscale("log")
    left.barh(places, [ratio - 1 for ratio in ratios], left=1.0, color=colours, height=0.7)
    left.axvline(1.0, color=INK, linewidth=0.8)
    for key, mark, colour, label in (
        ("fair_ratio", "D", INK, "over the fair peer"),
        ("goal", "|", RED, "goal"),
        ("before", "o", GREY, "before"),
    ):
        known = [(row[key], place) for place, row in enumerate(rows) if row.get(key)]
        if known:
            size = 90 if mark == "|" else 14
            left.scatter(*zip(*known, strict=True), marker=mark, s=size, color=colour, label=label, zorder=3)
    for place, ratio in enumerate(ratios):
        left.annotate(f" {ratio:.3g}", (max(ratio, 1.0), place), va="center", fontsize=7, color=INK)
    left.set_xlabel("times as fast as the published way")
    left.xaxis.set_major_formatter("{x:g}")
    left.xaxis.set_minor_formatter("")
    if left.get_legend_handles_labels()[0]:
        left.legend(fontsize=7, frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1)
    shares = [100 * (row["limit_share"] or 0.0) for row in rows]
    right.barh(places, shares, color=colours, height=0.7)
    for place, share in enumerate(shares):
        if share:
            right.annotate(f" {share:.0f}", (share, place), va="center", fontsize=7, color=INK)
    right.set(xlabel="of the machine's limit, %", xlim=(0, 108))
    return png(figure)


def costs_picture(rows: Sequence[Row]) -> bytes:
    """What each row takes beyond the same without us, and the most it may; a PNG file."""
    figure, (left, right) = _side_by_side(rows)
    places = range(len(rows))
    left.set_xscale("symlog", linthresh=0.01)
    left.barh(places, [row["more_ms"] for row in rows], color=_colours(rows), height=0.7)
    allowed = [(row["most_ms"] - row["bare_ms"], place) for place, row in enumerate(rows) if row["most_ms"] is not None]
    if allowed:
        left.scatter(*zip(*allowed, strict=True), marker="|", s=90, color=RED, label="at most", zorder=3)
        left.legend(fontsize=7, frameon=False, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1)
    left.set_xlabel("ms more than without us")
    right.barh(places, [100 * row["more_share"] for row in rows], color=_colours(rows), height=0.7)
    right.set_xlabel("more than without us, %")
    return png(figure)


def _side_by_side(rows: Sequence[Row]) -> tuple[Figure, list[Axes]]:
    figure, axes = panels(2, 2, 7.5, 1.2 + INCHES * len(rows))
    for one in axes:
        one.set_ylim(len(rows) - 0.4, -0.6)  # the first row on top
        one.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(rows)), [plain(f"{row['workload']}: {row['ours']}", 76) for row in rows], fontsize=7)
    axes[1].set_yticks([])
    return figure, axes


def _colours(rows: Sequence[Row]) -> list[str]:
    return [COLOURS.get(row["system"], GREY) for row in rows]
