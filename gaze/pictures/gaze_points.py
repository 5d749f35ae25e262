"""Draws points of gaze on the screens that were looked at, as the users see them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle
from torch import Tensor

PANELS, COLUMNS = 12, 4  # screens that are drawn, the most looked at first
NAMED = 12  # points of a panel up to which each has its name


def gaze_picture(
    file: Path,
    names: Sequence[str],
    point: Float[Tensor, "n 2"],
    truth: Float[Tensor, "n 2"],
    log_scale: Float[Tensor, "n 2"],
    screen_cm: Float[Tensor, "n 2"],
    centre: Float[Tensor, "n 2"],
) -> None:
    """Write a PNG with a panel for each screen and way of holding it: its outline, the camera, and the points.

    All is cm from the camera, x right and y up. Where the model says how sure it is, an ellipse has its b as half axes;
    where the truth is known, a line leads to it. NaN is unknown.
    """
    kinds = torch.cat([screen_cm, centre], 1).nan_to_num(-1.0)
    different, which = torch.unique(kinds.round(decimals=3), dim=0, return_inverse=True)
    most = torch.bincount(which, minlength=len(different)).argsort(descending=True)[:PANELS]
    columns = min(COLUMNS, len(most))
    rows = -(-len(most) // columns)
    figure = Figure(figsize=(4.5 * columns, 4.5 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, kind in zip(panels, most.tolist(), strict=False):
        mine = (which == kind).nonzero()[:, 0]
        _panel(axes, names, point, truth, log_scale, mine)
        _screen(axes, screen_cm[mine[0]], centre[mine[0]], len(mine))
    for axes in panels[len(most) :]:
        axes.set_axis_off()
    figure.savefig(file, dpi=90, format="png")


def _panel(
    axes: Axes, names: Sequence[str], point: Tensor, truth: Tensor, log_scale: Tensor, mine: Int[Tensor, "k"]
) -> None:
    known = mine[truth[mine].isfinite().all(-1)]
    axes.add_collection(LineCollection(list(torch.stack([truth[known], point[known]], 1).numpy()), colors="0.75"))
    axes.scatter(*truth[known].T.numpy(), s=9, color="tab:green", label="true" if len(known) else None)
    axes.scatter(*point[mine].T.numpy(), s=12, color="tab:red", label="predicted")
    for i in mine.tolist():
        if log_scale[i].isfinite().all():
            width, height = (2 * log_scale[i].exp()).tolist()
            x, y = point[i].tolist()
            axes.add_patch(Ellipse((x, y), width, height, fill=False, edgecolor="tab:red", alpha=0.3))
        if len(mine) <= NAMED:
            x, y = point[i].tolist()
            axes.annotate(names[i][-24:], (x, y), fontsize=7, xytext=(3, 3), textcoords="offset points")
    axes.scatter([0], [0], marker="P", s=60, color="black", label="camera")


def _screen(axes: Axes, size_cm: Float[Tensor, "2"], centre: Float[Tensor, "2"], count: int) -> None:
    title = "a screen of unknown size"
    if bool(size_cm.isfinite().all() and centre.isfinite().all()):
        left, bottom = (centre - size_cm / 2).tolist()
        width, height = size_cm.tolist()
        axes.add_patch(Rectangle((left, bottom), width, height, facecolor="0.95", edgecolor="0.4", zorder=-1))
        title = f"a screen of {width:.1f} x {height:.1f} cm"
    axes.set(xlabel="right of the camera, cm", ylabel="above the camera, cm", title=f"{title}: {count} frames")
    axes.set_aspect("equal", adjustable="datalim")
    axes.autoscale_view()
    axes.legend(loc="best", fontsize=7)
