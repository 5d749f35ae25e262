"""A trial's side of a search: what it adds to a run, and what the run gives back."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gaze.errors import UserError
from gaze.sweeps.studies import open_storage, storage_url

if TYPE_CHECKING:
    import optuna

    from gaze.callbacks.callback import Callback
    from gaze.trainer import Trainer

PRUNERS = ("optuna.pruners.*",)


def trial_callbacks(config: DictConfig) -> dict[str, Callback]:
    """The callbacks that a run needs for being a trial, by name: none outside of a search.

    With a pruner, one that reports to the study; with objectives, one that measures what a model costs.
    """
    found: dict[str, Callback] = {}
    if config.objectives:
        from gaze.callbacks.costs import Costs

        found["costs"] = Costs()
    hydra_config = HydraConfig.get()
    if config.trial is not None and hydra_config.mode == RunMode.MULTIRUN and hydra_config.sweeper.get("pruner"):
        from gaze.sweeps.reporting import Reporting

        sweeper = hydra_config.sweeper
        url = storage_url(sweeper.storage, hydra_config.sweep.dir)
        connect = functools.partial(trial_of, url, sweeper.study_name, config.trial.number, sweeper.pruner)
        found["reporting"] = Reporting(connect)
    return found


def trial_of(url: str, study: str, number: int, pruner: Any) -> optuna.Trial:
    """A trial of a study, for reporting: nothing is sampled.

    Args:
        url: of the database.
        pruner: an `optuna.pruners` node.
    """
    import optuna

    from gaze.runs import build

    storage = open_storage(url)
    opened = optuna.load_study(
        study_name=study, storage=storage, sampler=optuna.samplers.RandomSampler(), pruner=build(pruner, PRUNERS)
    )
    number_id = storage.get_trial_id_from_study_id_trial_number(opened._study_id, number)
    return optuna.Trial(opened, number_id)


def check_objectives(objectives: Sequence[str] | None, trainer: Trainer) -> None:
    """Check before training that every objective of a search is a figure of validation, or a cost.

    Raises:
        UserError: one is not; those there are, are listed.
    """
    from gaze.callbacks.costs import NAMES

    figures = [*trainer.figures(), *NAMES]
    if unknown := [name for name in objectives or () if name not in figures]:
        raise UserError(f"objectives: no metric computes {', '.join(unknown)}; there are {', '.join(figures)}")


def returned(best: Mapping[str, float], monitor: str, objectives: Sequence[str] | None) -> float | tuple[float, ...]:
    """What a run gives back to a search: the monitored figure of its best epoch, or that epoch's objectives."""
    return tuple(best[name] for name in objectives) if objectives else best[monitor]
