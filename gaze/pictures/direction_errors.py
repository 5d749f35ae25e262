"""Draws how large errors of directions are, where, and whether the model knew."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from gaze.concentration import share_within
from gaze.directions.certainty import doubt_of, remaining_error
from gaze.directions.rows import DirectionRows
from gaze.geometry import vector_to_pitch_yaw

COLOURS = {"pred": "tab:red", "tempered": "tab:blue"}
LABELS = {"pred": "as predicted", "tempered": "with the temperature of the validation split"}
POINTS = 400  # of a curve; more can't be seen
CELLS = 24  # of the map, along each side


def calibration_picture(rows: Mapping[str, DirectionRows], file: Path) -> None:
    """Write a PNG: how many true directions are within each cone, and the error as the least sure samples are left out.

    Nothing for a head that says nothing of how sure it is.

    Args:
        rows: the model's (``pred``) and, if known, those with other concentrations (``tempered``).
    """
    ours = _known(rows["pred"])
    if not len(ours):
        return
    figure = Figure(figsize=(11, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _reliability(left, {name: _known(rows[name]) for name in COLOURS if name in rows})
    _risk(right, ours)
    figure.savefig(file, dpi=90)


def error_map(rows: Mapping[str, DirectionRows], file: Path) -> None:
    """Write a PNG: the mean error over yaw and pitch of the true gaze as the picture has them, and all baselines'."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _map(left, rows["pred"])
    means = {name: math.degrees(float(some.error.mean())) for name, some in rows.items() if name != "tempered"}
    known = {name.replace("_", " "): value for name, value in means.items() if value == value}
    bars = right.barh(list(known), list(known.values()), color=["tab:red" if n == "pred" else "0.6" for n in known])
    right.bar_label(bars, fmt="%.2f")
    right.invert_yaxis()
    right.margins(x=0.12)  # for the numbers
    right.set(xlabel="mean error, degrees", title="ours and baselines")
    figure.savefig(file, dpi=90)


def _known(rows: DirectionRows) -> DirectionRows:
    return rows.at(doubt_of(rows).isfinite() & rows.error.isfinite())


def _reliability(axes: Axes, rows: Mapping[str, DirectionRows]) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="calibrated")
    for name, some in rows.items():
        if some.kappa.isfinite().all():
            within = share_within(some.kappa, some.error).sort().values
            reached = torch.arange(1, len(within) + 1) / len(within)
            chosen = _spaced(len(within))
            axes.plot(within[chosen].numpy(), reached[chosen].numpy(), color=COLOURS[name], label=LABELS[name])
    axes.set(
        xlabel="share of directions that the cone should hold",
        ylabel="share of true directions in it",
        title="reliability of cones about the predicted direction",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(fontsize=8)


def _risk(axes: Axes, rows: DirectionRows) -> None:
    error = rows.error.rad2deg()
    chosen = _spaced(len(error))
    kept = 1 - chosen / len(error)
    for label, by, colour in (
        ("the least sure first", doubt_of(rows), "tab:red"),
        ("the worst first (who knows the truth)", error, "0.4"),
    ):
        curve = remaining_error(error, by.argsort(descending=True, stable=True))
        axes.plot(kept.numpy(), curve[chosen].numpy(), color=colour, label=label)
    axes.axhline(float(error.mean()), color="0.6", linewidth=1, linestyle="--", label="at random")
    axes.set(
        xlabel="share of samples that is kept",
        ylabel="their mean error, degrees",
        title="risk and coverage",
        xlim=(0, 1),
    )
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8)


def _map(axes: Axes, rows: DirectionRows) -> None:
    some = rows.at(rows.error.isfinite())
    pitch, yaw = vector_to_pitch_yaw(some.truth).rad2deg().unbind(-1)
    # Yaw is positive to the picture's left; the map is as one looks at the picture
    (x, across), (y, up) = _cells(-yaw), _cells(pitch)
    total, count = torch.zeros(2, CELLS, CELLS, dtype=torch.float64)
    total.index_put_((y, x), some.error.rad2deg(), accumulate=True)
    count.index_put_((y, x), torch.ones_like(pitch), accumulate=True)
    image = axes.imshow((total / count).numpy(), origin="lower", extent=(*across, *up), aspect="auto", cmap="viridis")
    axes.figure.colorbar(image, ax=axes, label="mean error, degrees")  # type: ignore[union-attr]
    axes.set(
        xlabel="-yaw: to the picture's right, degrees",
        ylabel="pitch: up, degrees",
        title=f"{len(some)} faces by where they look",
    )


def _cells(angle: Float[Tensor, "n"]) -> tuple[Tensor, tuple[float, float]]:
    """The cell of each angle, and the ends of all."""
    if not len(angle):
        return angle.long(), (-1.0, 1.0)
    low, high = float(angle.min()) - 0.5, float(angle.max()) + 0.5
    return ((angle - low) / (high - low) * CELLS).long().clamp(0, CELLS - 1), (low, high)


def _spaced(count: int) -> Tensor:
    return torch.linspace(0, count - 1, min(count, POINTS), dtype=torch.float64).long().unique()
