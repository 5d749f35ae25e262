"""What a study holds, as plain values: for study.json, study.csv, MLflow and the report."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gaze.plain_yaml import plain_yaml

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

ERROR = "error"  # the attribute of a trial that says what it failed of
ENTRY = ("python", "-m", "gaze.train")
OURS = ("trial.", "+trial.", "++trial.", "trial=", "+trial=", "++trial=")  # say which trial a run is, not what it is


class Objective(NamedTuple):
    """What a study looks for."""

    name: str
    direction: str  # "minimize" or "maximize"


def objectives(study: optuna.Study, config: Mapping[Any, Any] | None) -> list[Objective]:
    """What the study looks for, by the names that it was given or that a config says."""
    directions = [direction.name.lower() for direction in study.directions]
    named = study.metric_names or _named(config or {})
    if len(named) != len(directions):
        named = ["value"] if len(directions) == 1 else [f"value_{number}" for number in range(len(directions))]
    return [Objective(str(name), direction) for name, direction in zip(named, directions, strict=True)]


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that ended with finite values."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [trial for trial in trials if all(math.isfinite(value) for value in trial.values)]


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The best trial, or with several objectives those that no other beats in all, by number; none before one finished."""
    trials = finished(study)
    if not trials:
        return []
    if len(study.directions) > 1:
        return sorted(study.best_trials, key=lambda trial: trial.number)
    sign = -1.0 if study.directions[0].name == "MAXIMIZE" else 1.0
    return [min(trials, key=lambda trial: (sign * trial.values[0], trial.number))]


def search_space(study: optuna.Study) -> dict[str, BaseDistribution]:
    """What each parameter is chosen from, as the newest trial that has it says; in the order of first use."""
    space: dict[str, BaseDistribution] = {}
    for trial in study.get_trials(deepcopy=False):
        space.update(trial.distributions)
    return space


def counts(study: optuna.Study) -> dict[str, int]:
    """Trials by state, those that exist."""
    found = Counter(trial.state.name.lower() for trial in study.get_trials(deepcopy=False))
    return {name: found[name] for name in ("complete", "pruned", "fail", "running", "waiting") if found[name]}


def facts(study: optuna.Study, folder: Path, named: Sequence[Objective]) -> dict[str, Any]:
    """All but the importance of parameters."""
    from optuna.distributions import distribution_to_json

    space = search_space(study)
    trials = study.get_trials(deepcopy=False)
    moments = [moment for trial in trials for moment in (trial.datetime_start, trial.datetime_complete) if moment]
    return {
        "study": study.study_name,
        "objectives": [objective._asdict() for objective in named],
        "trials": counts(study),
        "started": min(moments).isoformat(timespec="seconds") if moments else None,
        "minutes": round((max(moments) - min(moments)).total_seconds() / 60, 2) if moments else 0.0,
        "space": {name: in_words(distribution) for name, distribution in space.items()},
        "distributions": {name: json.loads(distribution_to_json(distribution)) for name, distribution in space.items()},
        "best": [_best(trial, folder, named) for trial in best_trials(study)],
    }


def rows(study: optuna.Study, folder: Path, named: Sequence[Objective]) -> list[dict[str, Any]]:
    """One row for each trial: number, state, values, parameters, minutes, run directory and what it failed of."""
    space = search_space(study)
    return [
        {
            "number": trial.number,
            "state": trial.state.name,
            **_values(trial, named),
            **{name: trial.params.get(name, "") for name in space},
            "minutes": "" if (minutes := _minutes(trial)) is None else round(minutes, 3),
            "directory": _directory(trial, folder) or "",
            "error": trial.user_attrs.get(ERROR, "") if _ours(trial, folder) else "",
        }
        for trial in study.get_trials(deepcopy=False)
    ]


def in_words(distribution: BaseDistribution) -> str:
    """A search space as a person says it: `1e-05 to 0.01, logarithmic`."""
    if (choices := getattr(distribution, "choices", None)) is not None:
        return "one of " + ", ".join(str(choice) for choice in choices)
    low, high = (f"{getattr(distribution, end):g}" for end in ("low", "high"))
    words = f"{low} to {high}"
    step = getattr(distribution, "step", None)
    if type(distribution).__name__ == "IntDistribution":
        words += ", whole numbers" if step == 1 else f", whole numbers in steps of {step}"
    elif step is not None:
        words += f", in steps of {step:g}"
    return words + (", logarithmic" if getattr(distribution, "log", False) else "")


def _named(config: Mapping[Any, Any]) -> list[str]:
    several, trainer = config.get("objectives"), config.get("trainer") or {}
    return [str(name) for name in several] if several else [str(trainer["monitor"])] if "monitor" in trainer else []


def _values(trial: FrozenTrial, named: Sequence[Objective]) -> dict[str, Any]:
    values = trial.values or [""] * len(named)
    return {objective.name: value for objective, value in zip(named, values, strict=True)}


def _minutes(trial: FrozenTrial) -> float | None:
    """From its first start to its end, also where it was interrupted in between."""
    return None if trial.duration is None else trial.duration.total_seconds() / 60


def _directory(trial: FrozenTrial, folder: Path) -> str | None:
    """The run directory within the sweep's, if there is one under the number of the trial."""
    place = folder / str(trial.number)
    return place.name if place.is_dir() and _ours(trial, folder) else None


def _ours(trial: FrozenTrial, folder: Path) -> bool:
    """Is it a trial of the sweep in this directory, and of none that shares the study?"""
    owner, ours = trial.user_attrs.get("sweep"), folder / ".owner"
    return owner is None or not ours.is_file() or ours.read_text() == owner


def _best(trial: FrozenTrial, folder: Path, named: Sequence[Objective]) -> dict[str, Any]:
    return {
        "number": trial.number,
        "values": _values(trial, named),
        "parameters": dict(trial.params),
        "directory": _directory(trial, folder),
        "command": command(folder / (_directory(trial, folder) or ""), trial.params),
    }


def command(run: Path, parameters: Mapping[str, Any]) -> str:
    """The command that trains a trial again, on its own: with all overrides that its run directory holds."""
    file = run / "overrides.yaml"
    try:
        words = plain_yaml(file.read_text(encoding="utf-8"), file)
    except (OSError, ValueError):
        words = None
    if not isinstance(words, list):
        words = [f"{name}={value}" for name, value in parameters.items()]
    return shlex.join([*ENTRY, *(str(word) for word in words if not str(word).startswith(OURS))])
