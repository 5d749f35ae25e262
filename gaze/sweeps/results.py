"""What a search has found, in files beside its trials."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import TrialState

from gaze.sweeps.space import Space, words

RESULTS, BEST = "optimization_results.yaml", "best.yaml"

logger = logging.getLogger(__name__)


def write_results(study: optuna.Study, folder: Path, space: Space) -> None:
    """Write and say what was found: the best trial, or the trials of the Pareto front, and how many ended how.

    `best.yaml` lists the overrides that train the best one again; with several objectives those of each solution.
    """
    trials = study.get_trials(deepcopy=False)
    states = Counter(trial.state for trial in trials)
    counts = {state.name.lower(): states[state] for state in TrialState}
    done = states[TrialState.COMPLETE]
    found: dict[str, Any] = {"name": "optuna"}
    if not done:
        said = ", ".join(f"{n} {state}" for state, n in counts.items() if n) or "none was launched"
        logger.warning("no trial of study %s is complete, so there is no best one: %s", study.study_name, said)
    elif len(study.directions) == 1:
        best = study.best_trial
        found |= {"best_params": best.params, "best_value": best.value, "best_trial": best.number}
        _write(folder / BEST, _overrides(space, best.params))
        shown = " ".join(_overrides(space, best.params))
        logger.info("best of %d: trial %d with %.6g: %s", done, best.number, best.value, shown)
    else:
        front = study.best_trials
        found["solutions"] = [{"params": t.params, "values": list(t.values), "trial": t.number} for t in front]
        _write(folder / BEST, [_overrides(space, trial.params) for trial in front])
        for trial in front:
            values = ", ".join(f"{value:.6g}" for value in trial.values)
            logger.info("on the Pareto front: trial %d with %s: %s", trial.number, values, trial.params)
    _write(folder / RESULTS, {**found, "trials": counts})


def _overrides(space: Space, params: dict[str, Any]) -> list[str]:
    return words(space, params, 0)[:-1]  # without which trial it is


def _write(file: Path, content: Any) -> None:
    aside = file.with_name(f".{file.name}.writing")
    aside.write_text(yaml.safe_dump(content, sort_keys=False))
    aside.replace(file)
