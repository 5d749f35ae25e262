"""Which parameters of a search mattered, by Optuna's own measure."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import optuna

    from gaze.sweeps.facts import Objective

FEWEST = 30  # finished trials: PED-ANOVA compares the best tenth with all, and with 10 trials that is one of them


class Importance(NamedTuple):
    """How much each parameter decided of one objective."""

    objective: str
    shares: dict[str, float]  # by parameter, largest first; they add up to 1. Empty where nothing can be said
    missing: str  # of what nothing can be said, and why, or ""


def importance(study: optuna.Study, objectives: list[Objective]) -> list[Importance]:
    """The importance of all parameters for each objective, with `optuna.importance`'s PED-ANOVA (Watanabe et al. 2023)."""
    return [_for_one(study, objective, number) for number, objective in enumerate(objectives)]


def _for_one(study: optuna.Study, objective: Objective, number: int) -> Importance:
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    from gaze.sweeps.facts import finished

    trials = finished(study)
    values = {trial.values[number] for trial in trials}
    varied = {name for trial in trials for name, space in trial.distributions.items() if not space.single()}
    # PED-ANOVA would compare a parameter's few trials with all trials of another one.
    some = sorted(name for name in varied if any(name not in trial.distributions for trial in trials))
    ranked = sorted(varied.difference(some))
    if len(trials) < FEWEST:
        return Importance(objective.name, {}, f"needs {FEWEST} finished trials, and there are {len(trials)}")
    if len(values) == 1:
        return Importance(objective.name, {}, f"all {len(trials)} finished trials have the same {objective.name}")
    left_out = f"leaves out {', '.join(some)}: only in some trials" if some else ""
    if some and not ranked:
        return Importance(objective.name, {}, left_out)
    if not varied:
        return Importance(objective.name, {}, "no parameter has more than one value to choose from")
    sign = -1.0 if objective.direction == "maximize" else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the direction, which the sign has settled
        shares = get_param_importances(
            study,
            evaluator=PedAnovaImportanceEvaluator(),
            params=ranked,
            target=lambda trial: sign * trial.values[number],
        )
    return Importance(objective.name, dict(sorted(shares.items(), key=lambda item: (-item[1], item[0]))), left_out)
