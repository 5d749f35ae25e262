"""Hydra's plug-in for searches that go on. Hydra reads this module at every start, so it imports nothing heavy."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from omegaconf import DictConfig

from gaze.errors import UserError
from gaze.signals import Interrupted


class StudySweeper(OptunaSweeper):
    """Upstream's Optuna sweeper, whose study goes on where it was stopped; see `gaze.sweeps.search.Search`.

    Args:
        sampler, direction, study_name, params: upstream's.
        storage: URL of the database; None: `study.db` in the folder of the sweep.
        n_trials: of the whole study, however often it is stopped; failed ones come on top.
        n_jobs: trials at once.
        max_failure_rate: a share of failed trials above this ends the search.
        failure_warmup: trials that end before that share counts.
        pruner: an `optuna.pruners` node; None: trials are not pruned.
    """

    def __init__(
        self,
        sampler: Any,
        direction: Any,
        storage: str | None,
        study_name: str | None,
        n_trials: int,
        n_jobs: int,
        max_failure_rate: float,
        params: DictConfig | None,
        pruner: Any = None,
        failure_warmup: int = 5,
    ) -> None:
        from gaze.sweeps.search import Search

        self.sweeper = Search(
            *(sampler, direction, storage, study_name, n_trials, n_jobs, max_failure_rate),
            params=params,
            pruner=pruner,
            failure_warmup=failure_warmup,
        )

    def setup(self, *, hydra_context: HydraContext, task_function: Callable[[Any], Any], config: DictConfig) -> None:
        self.sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        """Search, and end with one sentence where that is all a person needs.

        Raises:
            SystemExit: a signal or a person's mistake ended the search.
        """
        try:
            self.sweeper.sweep(arguments)
        except Interrupted as stop:
            print(f"\n{stop}; give the same command to go on", file=sys.stderr)
            sys.exit(stop.exit_code)
        except UserError as error:
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            print(f"\nerror: {error}", file=sys.stderr)
            sys.exit(1)


def register() -> None:
    """Make the sweeper known to Hydra: it finds plug-ins by itself only in packages named `hydra_plugins`."""
    Plugins.instance().register(StudySweeper)
