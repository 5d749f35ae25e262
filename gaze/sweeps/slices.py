"""The slices of a study: value over each parameter alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gaze.pictures.charts import GREY, RED, SHADES, panels, plain, png, spans_decades
from gaze.sweeps.facts import Objective, best_trials, finished, search_space

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from optuna.distributions import BaseDistribution

MANY = 24  # panels; a space with more parameters shows the first ones
GOLDEN = 0.618034  # consecutive multiples of it spread evenly over [0, 1)


def slices(study: optuna.Study, objectives: Sequence[Objective]) -> bytes | None:
    """A panel for each parameter and objective: every finished trial, later ones darker, the best as a star."""
    space = search_space(study)
    done = finished(study)
    names = [name for name in space if any(name in trial.params for trial in done)][: max(1, MANY // len(objectives))]
    if not names:
        return None
    several = len(objectives) > 1
    columns = len(objectives) if several else -(-len(names) // -(-len(names) // 4))  # up to 4, rows of equal length
    figure, made = panels(len(names) * len(objectives), columns, 3.1, 2.7)
    best = {trial.number for trial in best_trials(study)}
    for place, axes in enumerate(made):
        name, number = names[place // len(objectives)], place % len(objectives)
        shown = [trial for trial in done if name in trial.params]
        _panel(axes, name, space[name], shown, number, best)
        if several or place % columns == 0:
            axes.set_ylabel(plain(objectives[number].name))
        if spans_decades([trial.values[number] for trial in done]):
            axes.set_yscale("log")
    return png(figure)


def _panel(
    axes: Axes,
    name: str,
    distribution: BaseDistribution,
    trials: Sequence[optuna.trial.FrozenTrial],
    number: int,
    best: set[int],
) -> None:
    places = _places(axes, distribution, [(trial.number, trial.params[name]) for trial in trials])
    values = [trial.values[number] for trial in trials]
    last = max(trial.number for trial in trials)
    axes.scatter(
        places, values, c=[trial.number for trial in trials], cmap=SHADES, vmin=-0.25 * last, vmax=max(last, 1), s=16
    )
    stars = [(x, y) for x, y, trial in zip(places, values, trials, strict=True) if trial.number in best]
    if stars:
        axes.scatter(
            *zip(*stars, strict=True), marker="*", s=130, color=RED, edgecolor="white", linewidth=0.7, zorder=4
        )
    axes.set_xlabel(plain(name, 38))


def _places(axes: Axes, distribution: Any, chosen: Sequence[tuple[int, Any]]) -> list[float]:
    """Where values stand on the x axis, which is set up for them: numbers on a scale, choices side by side."""
    choices = getattr(distribution, "choices", None)
    if choices is None:
        if getattr(distribution, "log", False):
            axes.set_xscale("log")
        _show_all(axes, distribution.low, distribution.high, getattr(distribution, "log", False))
        return [float(value) for _, value in chosen]
    # A choice that is gone from the space stands behind those that are left.
    order = list(dict.fromkeys([*map(str, choices), *(str(value) for _, value in chosen)]))
    turned = max(len(text) for text in order) * len(order) > 34
    axes.set_xticks(range(len(order)), [plain(text, 18) for text in order], rotation=35 if turned else 0)
    if turned:
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
    axes.set_xlim(-0.6, len(order) - 0.4)
    for edge in range(1, len(order)):
        axes.axvline(edge - 0.5, color=GREY, linewidth=0.4, alpha=0.6)
    return [order.index(str(value)) + 0.5 * ((trial * GOLDEN) % 1.0 - 0.5) for trial, value in chosen]


def _show_all(axes: Axes, low: float, high: float, log: bool) -> None:
    """Show the whole range that is searched, with a little space at its ends."""
    if high > low:
        margin = (high / low) ** 0.04 if log else 0.04 * (high - low)
        axes.set_xlim(*((low / margin, high * margin) if log else (low - margin, high + margin)))
