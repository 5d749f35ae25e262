"""Searches without training: Hydra's grammar and Optuna's database are real, a trial is a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import ConfigCompositionException
from hydra.plugins.launcher import Launcher as HydraLauncher
from omegaconf import DictConfig, OmegaConf

from gaze.sweeps.search import Search
from gaze.sweeps.studies import open_study, storage_url

Trial = Callable[[dict[str, Any], int], Any]  # values of a trial's config and its number, to what the job returns
SAMPLER = {"_target_": "optuna.samplers.RandomSampler", "seed": 0}
PARAMS = {"x": "interval(-1.0,1.0)", "y": "interval(-1.0,1.0)"}
CONFIG = {"x": 0.0, "y": 0.0, "word": None, "epochs": 3, "objectives": None, "resume": {"allow": []}, "trial": None}


class Launcher(HydraLauncher):
    """Runs jobs here, as Hydra's basic launcher does, and remembers them."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.launched: list[tuple[int, dict[str, Any]]] = []

    def setup(self, **_: Any) -> None:
        pass

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        (words,) = job_overrides
        config = OmegaConf.to_container(composed(OmegaConf.create(CONFIG), words))
        assert isinstance(config, dict)
        assert config["trial"] == {"number": initial_job_idx}
        self.launched.append((initial_job_idx, {str(key): value for key, value in config.items()}))
        ended = JobReturn()
        try:
            ended.return_value, ended.status = self.trial(self.launched[-1][1], initial_job_idx), JobStatus.COMPLETED
        except Exception as error:
            ended.return_value, ended.status = error, JobStatus.FAILED
        return [ended]


def composed(config: DictConfig, words: Sequence[str]) -> DictConfig:
    """The config with what a command line says, by Hydra's own parser."""
    made = OmegaConf.create({**OmegaConf.to_container(config), "hydra": {}})  # type: ignore[dict-item]
    for override in OverridesParser.create().parse_overrides(list(words)):
        if override.get_key_element() not in made:
            raise ConfigCompositionException(f"Could not override '{override.get_key_element()}'.")
        made[override.get_key_element()] = override.value()
    return made


def search(
    folder: Path, trial: Trial | Launcher, *arguments: str, config: dict[str, Any] | None = None, **settings: Any
) -> Launcher:
    """Search to the end; the launcher tells what was launched."""
    asked = {
        "sampler": SAMPLER,
        "direction": "minimize",
        "storage": None,
        "study_name": "toy",
        "n_trials": 6,
        "n_jobs": 1,
        "max_failure_rate": 0.3,
        "params": PARAMS,
        "pruner": None,
        "failure_warmup": 5,
    }
    asked |= settings
    asked["sampler"], asked["params"] = OmegaConf.create(asked["sampler"]), OmegaConf.create(asked["params"])
    made = Search(**asked)
    made.config = OmegaConf.create({**CONFIG, **(config or {})})
    made.hydra_context = SimpleNamespace(config_loader=SimpleNamespace(load_sweep_config=composed))  # type: ignore[assignment]
    made.launcher = trial if isinstance(trial, Launcher) else Launcher(trial)  # type: ignore[assignment]
    made.sweep_dir = str(folder)
    made.sweep(list(arguments))
    return made.launcher  # type: ignore[return-value]


def study_in(folder: Path, name: str = "toy") -> optuna.Study:
    return open_study(storage_url(None, folder), name)


def states(folder: Path) -> list[str]:
    """Of all trials, in order of their numbers."""
    return [trial.state.name for trial in study_in(folder).trials]


def bowl(values: dict[str, Any], number: int) -> float:
    """Lowest at x = 0.25, y = 0."""
    return float((values["x"] - 0.25) ** 2 + values["y"] ** 2)
