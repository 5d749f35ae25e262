"""Charts, in one style and without a screen."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, RED, GREY, INK = "#2f6db3", "#e08a1e", "#c4443c", "#9aa3ad", "#1b1f24"
SHADES = "viridis_r"  # of points in an order: light to dark


def panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with `count` axes, row by row.

    Args:
        columns: in a row, at most.
        width, height: of each of them, inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(1, min(columns, count))
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    made = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in made[count:]:
        axes.remove()
    for axes in made[:count]:
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        axes.xaxis.label.set_size(9)
        axes.yaxis.label.set_size(9)
    return figure, made[:count]


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    return stream.getvalue()


def spans_decades(values: Sequence[float], factor: float = 50.0) -> bool:
    """Are all values positive and the largest so much larger that only a logarithmic axis shows them all?"""
    return bool(values) and min(values) > 0 and max(values) > factor * min(values)


def plain(text: object, length: int = 40) -> str:
    """A text as Matplotlib writes it letter by letter: dollars begin formulas. Its middle goes if it is too long."""
    whole = str(text)
    if len(whole) > length:
        whole = f"{whole[: length // 2]}…{whole[len(whole) - length // 2 + 1 :]}"
    return whole.replace("$", r"\$")


def whole_numbers(axes: Axes) -> None:
    """Label the x axis at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
