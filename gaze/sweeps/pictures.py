"""The pictures of a study: its history, the importance of parameters, its Pareto front and the trials on their way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from gaze.pictures.charts import BLUE, GREY, INK, ORANGE, RED, panels, plain, png, spans_decades, whole_numbers
from gaze.sweeps.facts import Objective, best_trials, finished
from gaze.sweeps.importance import Importance
from gaze.sweeps.slices import slices

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes

ARROW = {"minimize": "smaller is better", "maximize": "larger is better"}
LABELLED = 12  # trials of a Pareto front that get their number


def pictures(
    study: optuna.Study, objectives: Sequence[Objective], importances: Sequence[Importance]
) -> dict[str, bytes]:
    """PNG files by name: those that the study has something for."""
    drawn = {
        "history": history(study, objectives),
        "importance": importance_chart(importances),
        "slices": slices(study, objectives),
        "intermediate": intermediate(study, objectives),
        "pareto": pareto(study, objectives) if len(objectives) == 2 else None,
    }
    return {name: data for name, data in drawn.items() if data is not None}


def history(study: optuna.Study, objectives: Sequence[Objective]) -> bytes | None:
    """Value of every trial by its number, the best so far as a line; pruned and failed ones have marks of their own."""
    trials = study.get_trials(deepcopy=False)
    ended = {name: [t for t in trials if t.state.name == name] for name in ("COMPLETE", "PRUNED", "FAIL")}
    if not any(ended.values()):
        return None
    figure, made = panels(len(objectives), 1, 7.5, 3.4)
    done = finished(study)
    for number, (axes, objective) in enumerate(zip(made, objectives, strict=True)):
        values = [trial.values[number] for trial in done]
        if spans_decades(values):
            axes.set_yscale("log")
        axes.scatter([t.number for t in done], values, s=18, color=BLUE, label="finished", zorder=3)
        if values and len(objectives) == 1:
            so_far = list(accumulate(values, max if objective.direction == "maximize" else min))
            axes.step([t.number for t in done], so_far, where="post", color=ORANGE, linewidth=1.6, label="best so far")
        _marks(axes, "pruned", "x", GREY, [(t.number, _value(t, number, objectives)) for t in ended["PRUNED"]])
        _marks(axes, "failed", "|", RED, [(t.number, math.nan) for t in ended["FAIL"]])
        axes.set(xlabel="trial", ylabel=f"{plain(objective.name)}  ({ARROW[objective.direction]})")
        axes.set_xlim(-0.6, max(trials[-1].number, 1) + 0.6)
        whole_numbers(axes)
        axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1)
    return png(figure)


def importance_chart(importances: Sequence[Importance]) -> bytes | None:
    """Bars, the longest on top; a panel for each objective of which something can be said."""
    known = [entry for entry in importances if entry.shares]
    if not known:
        return None
    longest = max(len(entry.shares) for entry in known)
    figure, made = panels(len(known), 2, 6.5, 0.9 + 0.28 * longest)
    for axes, entry in zip(made, known, strict=True):
        names = [plain(name, 34) for name in entry.shares]
        bars = axes.barh(range(len(names)), list(entry.shares.values()), color=BLUE, height=0.65)
        axes.bar_label(bars, [f"{share:.0%}" for share in entry.shares.values()], padding=3, fontsize=8)
        axes.set_yticks(range(len(names)), names)
        axes.set_title(f"importance for {plain(entry.objective)}", fontsize=10)
        axes.set_xlabel(plain(entry.missing, 90), fontsize=8)
        axes.set_xticks([])
        axes.margins(x=0.12)
        axes.grid(visible=False)
        axes.invert_yaxis()
        axes.spines["bottom"].set_visible(False)
    return png(figure)


def intermediate(study: optuna.Study, objectives: Sequence[Objective]) -> bytes | None:
    """What trials reported on their way, if the study can prune: finished ones by their end, pruned ones with a cross."""
    shown = [t for t in study.get_trials(deepcopy=False) if _points(t.intermediate_values)]
    if len(objectives) != 1 or not shown:
        return None
    figure, (axes,) = panels(1, 1, 7.5, 3.8)
    best = {trial.number for trial in best_trials(study)}
    everything: list[float] = []
    labelled = set[str]()
    order = {"COMPLETE": 0, "PRUNED": 1, "FAIL": 1}
    for trial in sorted(shown, key=lambda trial: (trial.number in best, order.get(trial.state.name, 2))):
        steps, values = zip(*_points(trial.intermediate_values), strict=True)
        everything += values
        kind = "best" if trial.number in best else trial.state.name.lower()
        colour = {"best": ORANGE, "complete": BLUE, "pruned": INK, "fail": RED}.get(kind, "#5aa06a")
        strong, faint = kind == "best", kind == "complete"
        label = {"complete": "finished", "fail": "failed", "best": f"best: trial {trial.number}"}.get(kind, kind)
        axes.plot(
            steps, values, color=colour, linewidth=2.2 if strong else 1.0, alpha=0.5 if faint else 0.9,
            marker="." if len(steps) < 30 else None, markersize=4, label=None if kind in labelled else label,
        )  # fmt: skip
        labelled.add(kind)
        if kind in ("pruned", "fail"):
            axes.plot(steps[-1], values[-1], "x", color=colour, markersize=6, markeredgewidth=1.6)
    if spans_decades(everything):
        axes.set_yscale("log")
    name = f"{plain(objectives[0].name)}  ({ARROW[objectives[0].direction]})"
    axes.set(xlabel="epoch", ylabel=name)
    whole_numbers(axes)
    axes.legend(fontsize=8, frameon=False, ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1)
    return png(figure)


def pareto(study: optuna.Study, objectives: Sequence[Objective]) -> bytes | None:
    """All finished trials by their two values; those that no other beats in both are joined."""
    done = finished(study)
    if not done:
        return None
    front = sorted(best_trials(study), key=lambda trial: trial.values)
    figure, (axes,) = panels(1, 1, 6.2, 4.6)
    others = [trial for trial in done if trial.number not in {t.number for t in front}]
    axes.scatter(*_pairs(others), s=20, color=GREY, label="finished")
    x, y = _pairs(front)
    falls = objectives[0].direction == objectives[1].direction
    axes.plot(x, y, color=ORANGE, linewidth=1.2, alpha=0.6, zorder=2)
    axes.scatter(x, y, s=34, color=ORANGE, zorder=3, label="no other is better in both")
    for trial in front[:: max(1, math.ceil(len(front) / LABELLED))]:
        axes.annotate(
            str(trial.number), (trial.values[0], trial.values[1]), fontsize=8, textcoords="offset points",
            xytext=(4, 4) if falls else (4, -10),
        )  # fmt: skip
    for number, axis in enumerate((axes.xaxis, axes.yaxis)):
        if spans_decades([trial.values[number] for trial in done]):
            (axes.set_xscale if number == 0 else axes.set_yscale)("log")
        axis.set_label_text(f"{plain(objectives[number].name)}  ({ARROW[objectives[number].direction]})")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.1)
    return png(figure)


def _marks(axes: Axes, label: str, marker: str, colour: str, points: Sequence[tuple[int, float]]) -> None:
    """Marks at the values of trials, at the lower edge for those that have none."""
    having = [point for point in points if math.isfinite(point[1])]
    lacking = [number for number, value in points if not math.isfinite(value)]
    if having:
        axes.scatter(*zip(*having, strict=True), marker=marker, color=colour, s=26, label=label)
    if lacking:
        axes.scatter(
            lacking, [0.02] * len(lacking), marker=marker, color=colour, s=60, transform=axes.get_xaxis_transform(),
            label=None if having else label, clip_on=False,
        )  # fmt: skip


def _value(trial: optuna.trial.FrozenTrial, number: int, objectives: Sequence[Objective]) -> float:
    """What a pruned trial had reached; NaN where it said nothing."""
    if trial.values is not None:
        return float(trial.values[number])
    points = _points(trial.intermediate_values) if len(objectives) == 1 else []
    return points[-1][1] if points else math.nan


def _points(values: dict[int, float]) -> list[tuple[int, float]]:
    return [(step, values[step]) for step in sorted(values) if math.isfinite(values[step])]


def _pairs(trials: Sequence[optuna.trial.FrozenTrial]) -> tuple[list[float], list[float]]:
    return [trial.values[0] for trial in trials], [trial.values[1] for trial in trials]
