"""Draws what calibration does: to each person, and with more and more points."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from pyarrow import Table
from torch import Tensor

from gaze.label_units import words
from gaze.screens.figures import figures, named
from gaze.screens.rows import unit_of
from gaze.screens.table import OURS, rows_by_name, rows_in

EMPHASISED = {"none": "black", "chosen": "navy"}
AFTER = "calibrated"  # the name of calibrated points in a table
COLOURS = {OURS: "tab:red", AFTER: "tab:blue"}
PEOPLE = 60  # drawn as lines


def before_after_picture(table: Table, file: Path) -> None:
    """Write a PNG of three panels: each person before and after, their mean errors as vectors, and all baselines.

    Args:
        table: of predictions, with calibrated points.
    """
    figure = Figure(figsize=(15, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    names, unit = table["subject"].to_pylist(), unit_of(rows_in(table))
    off = {name: (rows := rows_in(table, name)).point - rows.truth for name in (OURS, AFTER)}
    lengths = {name: _by_person(value.norm(dim=-1, keepdim=True), names)[:, 0] for name, value in off.items()}
    _people(left, sorted(set(names)), lengths, words(unit))
    _biases(middle, {name: _by_person(value, names) for name, value in off.items()}, words(unit))
    errors = {name: figures(rows)[named("error_cm", unit)] for name, rows in rows_by_name(table).items()}
    known = {name: value for name, value in errors.items() if value == value}
    bars = right.barh(
        [name.replace("_", " ") for name in known],
        list(known.values()),
        color=[COLOURS.get(name, "0.6") for name in known],
    )
    right.bar_label(bars, fmt="%.2f")
    right.invert_yaxis()
    title = "before, after, and guesses that see no eye"
    right.set(xlabel=f"mean error of held-out frames, {words(unit)}", title=title)
    figure.savefig(file, dpi=90)


def _by_person(value: Float[Tensor, "n a"], names: list[str]) -> Float[Tensor, "u a"]:
    """Means, in the order of sorted names."""
    people = {name: i for i, name in enumerate(sorted(set(names)))}
    which = torch.tensor([people[name] for name in names])
    total = value.new_zeros(len(people), value.shape[1]).index_add_(0, which, value)
    return total / torch.bincount(which, minlength=len(people))[:, None]


def _people(axes: Axes, names: list[str], error: dict[str, Float[Tensor, "u"]], unit: str) -> None:
    order = error[OURS].argsort(descending=True)
    places, before, after = range(len(order)), error[OURS][order], error[AFTER][order]
    ends = [[(i, b), (i, a)] for i, b, a in zip(places, before.tolist(), after.tolist(), strict=True)]
    axes.add_collection(LineCollection(ends, colors="0.7"))
    axes.scatter(places, before.numpy(), color=COLOURS[OURS], label="before", zorder=2)
    axes.scatter(places, after.numpy(), color=COLOURS[AFTER], label="after", zorder=2)
    few = len(order) <= PEOPLE
    axes.set_xticks(list(places) if few else [], [names[int(i)] for i in order] if few else [], rotation=90, fontsize=7)
    better = int((after < before).sum())
    axes.set(ylabel=f"mean error, {unit}", title=f"{len(order)} people, {better} of them better")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)


def _biases(axes: Axes, mean: dict[str, Float[Tensor, "u 2"]], unit: str) -> None:
    some = slice(None, PEOPLE)
    axes.add_collection(
        LineCollection(list(torch.stack([mean[OURS], mean[AFTER]], 1)[some].numpy()), colors="0.8", linewidths=0.8)
    )
    for name, label in ((OURS, "before"), (AFTER, "after")):
        axes.scatter(*mean[name].T.numpy(), color=COLOURS[name], s=18, label=label)
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set(xlabel=f"right, {unit}", ylabel=f"up, {unit}", title="how far off on average, for each person")
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(fontsize=8)


def curve_picture(table: Table, file: Path) -> None:
    """Write a PNG: a line per method, frames on the left and fixations on the right."""
    figure = Figure(figsize=(13, 5), layout="constrained")
    FigureCanvasAgg(figure)
    rows = table.to_pylist()
    plain = max((row["before_cm"] for row in rows), default=1.0)
    names = list(dict.fromkeys(row["method"] for row in rows))
    for axes, column, what in zip(
        figure.subplots(1, 2), ("error_cm", "fixation_error_cm"), ("frame", "fixation"), strict=True
    ):
        for number, name in enumerate(names):
            line = [(row["points"], row[column]) for row in rows if row["method"] == name]
            colour, width = EMPHASISED.get(name, colormaps["tab20"](number % 20)), 2.5 if name in EMPHASISED else 1.4
            axes.plot(*zip(*line, strict=True), marker="o", markersize=4, label=name, color=colour, linewidth=width)
        points = sorted({row["points"] for row in rows})
        axes.set_xscale("log")
        axes.set_xticks(points, [str(count) for count in points])
        axes.set_xticks([], minor=True)
        # Some methods explode with few points; what is much worse than no calibration need not be readable.
        least = min((row[column] for row in rows), default=0.0)
        axes.set_ylim(max(0.0, least - 0.1 * plain), 1.4 * plain)
        axes.set(xlabel="calibration points", ylabel=f"mean error of a {what} on held-out dots, cm")
        axes.grid(alpha=0.3)
    if rows:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=8)
        figure.suptitle(f"{max(row['users'] for row in rows)} users, {rows[0]['draws']} draws of dots each")
    figure.savefig(file, dpi=90)
