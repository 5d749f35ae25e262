"""The search itself: asks Optuna for trials, has them launched, and tells it what came of them."""

from __future__ import annotations

import functools
import logging
import math
from collections import deque
from collections.abc import Mapping
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import optuna
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.utils import instantiate
from hydra_plugins.hydra_optuna_sweeper._impl import OptunaSweeperImpl
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from gaze.errors import UserError
from gaze.holders import holder
from gaze.loggers.masking import masked
from gaze.signals import Interrupted
from gaze.sweeps.facts import ERROR
from gaze.sweeps.launches import Ended, Launches, signals_end
from gaze.sweeps.results import write_results
from gaze.sweeps.space import samples, space_of, words
from gaze.sweeps.studies import PRUNED, SweepError, check_asked, locked, open_storage, owner, storage_url

PRUNERS = ("optuna.pruners.*",)
SAMPLERS = ("hydra_plugins.hydra_optuna_sweeper.*", "optuna.samplers.*")
PLACED = (".GridSampler", ".QMCSampler")  # these keep their place in the study
OWNER = "sweep"  # the attribute of a trial that says in which sweep's folder its files lie
ALIKE = 3  # first trials that fail with the same mistake of the user's end the search
ORPHAN_S = 600.0  # a trial that no sweep has claimed for so long is nobody's

logger = logging.getLogger(__name__)


class Search(OptunaSweeperImpl):
    """Upstream's search, one trial at a time, so that whatever ends it, the same command goes on.

    Only finished trials count: `n_trials` of them, complete or pruned, make the study. A trial that was under way is launched
    again as the same job in the same directory, where its run goes on. See `gaze.sweeps.sweeper.StudySweeper` for arguments.

    Raises:
        SweepError: an argument is out of range.
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
        pruner: Any,
        failure_warmup: int,
    ) -> None:
        for name, number in (("n_trials", n_trials), ("n_jobs", n_jobs), ("failure_warmup", failure_warmup)):
            if number < 1:
                raise SweepError(f"hydra.sweeper.{name} is {number}; expected 1 or more")
        if not 0 <= max_failure_rate < 1:
            raise SweepError(f"hydra.sweeper.max_failure_rate is {max_failure_rate}; expected from 0 to below 1")
        if not study_name:
            raise SweepError("the search has no name; give one with study=NAME")
        super().__init__(sampler, direction, storage, study_name, n_trials, n_jobs, max_failure_rate, None, params)
        self.pruner, self.failure_warmup = pruner, failure_warmup
        self.ended = 0  # trials since this search began or went on
        self.failed: dict[int, str] = {}  # of these, with the reason

    def sweep(self, arguments: list[str]) -> None:
        """Search until the study has `n_trials` finished trials, and write down what was found.

        Raises:
            SweepError: nothing can be launched, another search is running, or too many trials failed.
            Interrupted, SystemExit: a signal asked to stop; what was under way goes on with the same command.
        """
        assert self.config is not None
        assert self.launcher is not None
        self.folder = Path(self.sweep_dir)
        self._check_settings()
        self.space = space_of(self.params or {}, arguments)
        config = self._composed()
        with locked(self.folder), signals_end():
            self.mine = owner(self.folder)
            self.study = self._opened(config)
            self.launches = Launches(self.launcher, self.n_jobs, self.folder)
            try:
                self._search()
            except (SQLAlchemyError, StorageInternalError) as error:
                raise SweepError(
                    f"the study's database did not answer: {masked(_first_line(error))}. "
                    "Once it does, the same command goes on"
                ) from error
            finally:
                self.launches.stop()
                self._review()

    # --- before the first trial ------------------------------------------------------------------

    def _check_settings(self) -> None:
        directions = self._get_directions()
        if wrong := [d for d in directions if d not in ("minimize", "maximize")]:
            raise SweepError(
                f"hydra.sweeper.direction is {wrong[0]!r}; expected minimize or maximize (it follows trainer.mode, and a "
                "search needs a figure that gets better)"
            )
        assert self.config is not None
        objectives = self.config.get("objectives") or []
        if len(directions) != max(len(objectives), 1):
            raise SweepError(
                f"objectives are {list(objectives) or 'not given'} and hydra.sweeper.direction is {directions}; expected one "
                "direction for each objective"
            )
        if len(directions) > 1 and self.pruner is not None:
            raise SweepError(
                "Optuna prunes trials by one figure only; a search with several objectives needs hydra/sweeper/pruner=null"
            )

    def _composed(self) -> dict[str, Any]:
        """The config of a first trial, without what the search varies; that of every choice is composed once.

        Raises:
            SweepError: a trial's config cannot be composed: a searched key does not exist, for one.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        first: DictConfig | None = None
        for values in samples(self.space):
            line = words(self.space, values, 0)
            try:
                composed = self.hydra_context.config_loader.load_sweep_config(self.config, line)
                first = composed if first is None else first
            except (HydraException, OmegaConfBaseException) as error:
                raise SweepError(f"no trial can be launched with {' '.join(line)}: {error}") from error
        assert first is not None
        with open_dict(first):
            del first["hydra"]
        try:
            plain = OmegaConf.to_container(first, resolve=True)
        except OmegaConfBaseException as error:
            raise SweepError(f"no trial can be launched: {error}") from error
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items() if key != "trial"}

    def _opened(self, config: Mapping[str, Any]) -> optuna.Study:
        url = storage_url(self.storage, self.folder)
        logging.getLogger("optuna").setLevel(logging.WARNING)  # it counts trials as failed that we launch again
        directions = self._get_directions()
        study = optuna.create_study(
            storage=open_storage(url, make=True),
            study_name=self.study_name,
            sampler=optuna.samplers.RandomSampler(),
            directions=directions,  # type: ignore[arg-type]
            load_if_exists=True,
        )
        asked = {
            "directions": directions,
            "objectives": config.get("objectives"),
            "sampler": OmegaConf.to_container(self.sampler, resolve=True),
            "space": {key: str(distribution) for key, distribution in self.space.varied.items()},
            "config": config,
        }
        allow = (config.get("resume") or {}).get("allow") or []
        check_asked(study, asked, self.folder, (allow,) if isinstance(allow, str) else tuple(allow))
        study.sampler = self._sampler_for(0)
        # Trials ask it in their own processes; samplers look at it, too.
        study.pruner = (
            instantiate(self.pruner, _execution_whitelist_=PRUNERS) if self.pruner else optuna.pruners.NopPruner()
        )
        done = self._count(study)
        logger.info(
            "study %s: %d of %d trials are done%s", self.study_name, done, self.n_trials, "; going on" if done else ""
        )
        return study

    def _sampler_for(self, number: int) -> optuna.samplers.BaseSampler:
        """The sampler of a trial. What it draws follows from the seed, the number and the study, however often it was stopped."""
        node = OmegaConf.to_container(self.sampler, resolve=True)
        assert isinstance(node, dict)
        if node["_target_"].endswith(PLACED):
            node["seed"] = node["seed"] or 0  # its order; without a seed it would be another one each time
        elif isinstance(node.get("seed"), int):
            node["seed"] += number
        made = instantiate(node, _execution_whitelist_=SAMPLERS)
        self.grid = isinstance(made, functools.partial) and made.func == optuna.samplers.GridSampler
        if self.grid:
            try:
                choices = {key: self._to_grid_sampler_choices(d) for key, d in self.space.varied.items()}
            except ValueError as error:
                raise SweepError(f"{error} Give ranges a step, or choices, or another hydra/sweeper/sampler") from error
            self.n_trials = min(self.n_trials, math.prod(len(values) for values in choices.values()))
            made = made(choices)
        return made

    # --- the loop --------------------------------------------------------------------------------

    def _search(self) -> None:
        waiting = deque(self._left_over())
        suspects: deque[FrozenTrial] = deque()
        under_way: dict[int, FrozenTrial] = {}
        alone: int | None = None  # the trial that was launched when no other ran, and is the only one until it ends
        while True:
            if suspects and not under_way:
                trial = suspects.popleft()
                alone = trial.number
                under_way[alone] = self._start(trial)
            while not suspects and alone is None and self.launches.free:
                asked = waiting.popleft() if waiting else self._asked()
                if asked is None:
                    break
                under_way[asked.number] = self._start(asked)
            if not under_way:
                return
            if self.launches.jobs > 1:
                _import_review()
            number, ended = self.launches.next()
            trial = under_way.pop(number)
            second, alone = alone == number, None
            if isinstance(ended, BrokenExecutor) and self.launches.jobs > 1 and not second:
                # A worker that dies takes the other workers with it: each trial gets a second chance, by itself.
                suspects.append(trial)
                logger.warning("trial %d: %s; it is launched again alone", number, _first_line(ended))
            else:
                self._tell(trial, ended)

    def _left_over(self) -> list[FrozenTrial]:
        """The trials of this sweep that were under way when it was stopped, with all their parameters.

        Raises:
            SweepError: one of them still runs.
        """
        found = []
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            claimed = trial.user_attrs.get(OWNER)
            if claimed is None and (self.storage is None or _age_s(trial) > ORPHAN_S):
                claimed = self.mine
            if claimed != self.mine:
                logger.info("trial %d is under way in another sweep of this study, and left to it", trial.number)
                continue
            if (pid := holder(self.folder / str(trial.number))) is not None:
                raise SweepError(
                    f"trial {trial.number} in {self.folder} is still running, as process {pid or '?'}; wait for it"
                )
            logger.info("trial %d was under way; it goes on", trial.number)
            found.append(self._completed(optuna.trial.Trial(self.study, trial._trial_id)))
        return found

    def _asked(self) -> FrozenTrial | None:
        """A new trial; None if the study has all it needs, or will have when what is under way has ended."""
        if self._count(self.study, TrialState.RUNNING) >= self.n_trials:
            return None
        return self._completed(self.study.ask())

    def _completed(self, trial: optuna.Trial) -> FrozenTrial:
        """The trial with a value for every parameter: those it has stay, as does its being ours."""
        trial.set_user_attr(OWNER, self.mine)
        if not self.grid:
            self.study.sampler = self._sampler_for(trial.number)
        for key, distribution in self.space.varied.items():
            trial._suggest(key, distribution)
        return self.study._storage.get_trial(trial._trial_id)

    def _start(self, trial: FrozenTrial) -> FrozenTrial:
        logger.info("trial %d: %s", trial.number, " ".join(f"{k}={v}" for k, v in trial.params.items()))
        self.launches.start(trial.number, words(self.space, trial.params, trial.number))
        return trial

    def _count(self, study: optuna.Study, *others: TrialState) -> int:
        """Finished trials that count, and those in other states. A grid has each point once: one that failed counts, too."""
        states = [TrialState.COMPLETE, TrialState.PRUNED, *([TrialState.FAIL] if self.grid else []), *others]
        return len(study.get_trials(deepcopy=False, states=states))

    # --- what came of a trial --------------------------------------------------------------------

    def _tell(self, trial: FrozenTrial, ended: Ended) -> None:
        reason = ended._return_value if isinstance(ended, JobReturn) else ended
        if isinstance(reason, Interrupted) or (isinstance(reason, BaseException) and not isinstance(reason, Exception)):
            raise reason  # a signal reached the trial: it has saved itself, and goes on another time
        try:
            values = self._values(ended)
        except Exception as error:
            self._check_broken(trial, ended, error)
            self.failed[trial.number] = _first_line(error)
            logger.warning("trial %d failed: %s", trial.number, _first_line(error))
            self.study._storage.set_trial_user_attr(trial._trial_id, ERROR, masked(_first_line(error)))
            self._told(trial, TrialState.FAIL)
        else:
            now = self.study._storage.get_trial(trial._trial_id)
            pruned = bool(now.user_attrs.get(PRUNED))
            shown = "pruned" if pruned else ", ".join(f"{value:.6g}" for value in values)
            logger.info("trial %d: %s", trial.number, shown)
            self._told(trial, TrialState.PRUNED if pruned else TrialState.COMPLETE, None if pruned else values)
        self.ended += 1
        if self.ended >= self.failure_warmup and len(self.failed) / self.ended > self.max_failure_rate:
            number, reason = next(iter(self.failed.items()))
            folders = ", ".join(str(self.folder / str(n)) for n in self.failed)
            raise SweepError(
                f"{len(self.failed)} of {self.ended} trials failed, more than hydra.sweeper.max_failure_rate="
                f"{self.max_failure_rate:g}: {folders}. Trial {number} said: {reason}. "
                "Once this is mended the same command goes on"
            )

    def _told(self, trial: FrozenTrial, state: TrialState, values: list[float] | None = None) -> None:
        try:
            self.study.tell(trial.number, values, state=state)
        except RuntimeError as error:  # the grid sampler wants to stop a loop of Optuna's, which this is not
            if not self.grid or "Study.stop" not in str(error):
                raise

    def _values(self, ended: Ended) -> list[float]:
        if isinstance(ended, BaseException):
            raise ended
        returned = ended.return_value  # raises what the job raised
        listed = list(returned) if isinstance(returned, (list, tuple)) else [returned]
        try:
            values = [float(value) for value in listed]
        except (TypeError, ValueError):
            values = []
        if len(values) != len(self.study.directions) or not all(map(math.isfinite, values)):
            raise ValueError(f"it returned {returned!r}; expected {len(self.study.directions)} finite number(s)")
        return values

    def _check_broken(self, trial: FrozenTrial, ended: Ended, error: Exception) -> None:
        """Stop at once where the next trial would fail in the same way.

        Raises:
            SweepError: the launcher launches nothing, no trial can be built, the first ones all fail with one mistake of
                the user's, or the trial runs in another job. The trial stays to be launched again.
        """
        folder = self.folder / str(trial.number)
        if isinstance(ended, Exception) and not isinstance(ended, BrokenExecutor) and not folder.exists():
            raise SweepError(f"the launcher could not launch a trial: {_first_line(error)}") from error
        if not isinstance(error, UserError):
            return
        # A job that still waited when its search was stopped holds no lock, and begins beside the one launched again.
        if holder(folder) is not None or " is in use by " in str(error):
            raise SweepError(
                f"trial {trial.number} in {folder} already runs in a job of an earlier search: {_first_line(error)}. "
                "Wait for that job or end it (scancel), then the same command goes on"
            ) from error
        if not self._count(self.study):
            from gaze.runs import ConfigError

            if isinstance(error, ConfigError):
                raise SweepError(f"trial {trial.number} in {folder} cannot be built: {error}") from error
            said = [*self.failed.values(), _first_line(error)]
            if len(said) >= min(ALIKE, self.failure_warmup) and len(set(said)) == 1:
                raise SweepError(
                    f"the first {len(said)} trials all failed alike: {said[0]}. Once this is mended the same command goes on"
                ) from error

    def _review(self) -> None:
        try:
            write_results(self.study, self.folder, self.space)
        except Exception as error:  # a database that is away must not hide what ended the search
            logger.warning("what was found in %s could not be written: %s", self.folder, masked(_first_line(error)))
        try:
            from gaze.sweeps.review import review

            review(self.study, self.folder, self.config)
        except Exception as error:  # pictures of a search are not worth its exit code
            logger.warning("the search in %s could not be reviewed: %s", self.folder, masked(_first_line(error)))


@functools.cache
def _import_review() -> None:
    """Import what the review needs while trials run elsewhere, and not when the last one has ended: it takes seconds."""
    import matplotlib.figure  # noqa: F401
    import optuna.importance  # noqa: F401

    import gaze.sweeps.pictures  # noqa: F401


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _age_s(trial: FrozenTrial) -> float:
    import datetime

    begun = trial.datetime_start
    return math.inf if begun is None else (datetime.datetime.now() - begun).total_seconds()
