"""A search keeps its budget, whatever ends it, and says what is wrong."""

from __future__ import annotations

import logging
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path

import optuna
import pytest
import yaml
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gaze.runs import ConfigError, RunError
from gaze.signals import Interrupted
from gaze.sweeps.studies import PRUNED, SweepError, open_storage, owner, storage_url
from tests.processes import exit_code
from tests.stubs.searches import Launcher, bowl, search, states, study_in


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Searches whose reviews have no pictures, which took half of the time; `test_review` draws them."""
    monkeypatch.setattr("gaze.sweeps.pictures.pictures", lambda *_: {})


def results(folder: Path) -> dict:
    return yaml.safe_load((folder / "optimization_results.yaml").read_text())


def test_a_search_ends_with_its_budget_and_names_the_best(tmp_path):
    launched = search(tmp_path, bowl, "epochs=5").launched
    assert [number for number, _ in launched] == list(range(6))
    assert all(values["epochs"] == 5 for _, values in launched)
    best = min(launched, key=lambda trial: bowl(trial[1], 0))
    found = results(tmp_path)
    assert found["best_trial"] == best[0]
    assert found["best_params"] == {"x": best[1]["x"], "y": best[1]["y"]}
    assert found["best_value"] == bowl(best[1], 0)
    assert found["trials"] == {"running": 0, "complete": 6, "pruned": 0, "fail": 0, "waiting": 0}
    words = ["epochs=5", *(f"{key}={value}" for key, value in found["best_params"].items())]
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == words


def test_the_same_command_adds_nothing_and_a_larger_budget_only_the_rest(tmp_path):
    search(tmp_path, bowl, n_trials=3)
    assert search(tmp_path, bowl, n_trials=3).launched == []
    added = search(tmp_path, bowl, n_trials=5).launched
    assert [number for number, _ in added] == [3, 4]
    drawn = [tuple(trial.params.values()) for trial in study_in(tmp_path).trials]
    assert len(set(drawn)) == 5, "a sampler that begins anew repeats its draws"


SAMPLERS = {
    "tpe": ("optuna.samplers.TPESampler", {"n_startup_trials": 3}),
    "gp": ("optuna.samplers.GPSampler", {"n_startup_trials": 4}),
    "cmaes": ("optuna.samplers.CmaEsSampler", {}),
    "random": ("optuna.samplers.RandomSampler", {}),
    "nsgaii": ("hydra_plugins.hydra_optuna_sweeper._impl.create_nsgaii_sampler", {"population_size": 3}),
    "qmc": ("optuna.samplers.QMCSampler", {"warn_asynchronous_seeding": False}),
}


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_every_sampler_searches_and_goes_on(tmp_path, name):
    target, options = SAMPLERS[name]
    sampler = {"_target_": target, "seed": 0, **options}
    search(tmp_path, bowl, n_trials=4, sampler=sampler)
    search(tmp_path, bowl, n_trials=5, sampler=sampler)
    assert states(tmp_path) == ["COMPLETE"] * 5
    different = {tuple(trial.params.values()) for trial in study_in(tmp_path).trials}
    assert len(different) == 5 or name == "nsgaii", "only who crosses two trials may come to one of them again"


GRID = {"_target_": "optuna.samplers.GridSampler", "_partial_": True, "seed": 0}


def test_a_grid_has_each_point_once_however_often_it_goes_on(tmp_path):
    def fails_at_one_point(values, number):
        if values["word"] == "b" and values["x"] == 1:
            raise ValueError("never works")
        return values["x"]

    space = {"sampler": GRID, "params": {"x": "range(1,4)", "word": "a,b"}, "n_trials": 100, "max_failure_rate": 0.9}
    for attempt in range(3):  # each is interrupted at its third trial, the last is not
        launcher = Launcher(interrupted_at(3, fails_at_one_point) if attempt < 2 else fails_at_one_point)
        with suppress(SystemExit):
            search(tmp_path, launcher, **space)
    trials = study_in(tmp_path).trials
    points = [(trial.params["x"], trial.params["word"]) for trial in trials]
    assert sorted(points) == [(x, word) for x in (1, 2, 3) for word in "ab"]
    assert sorted(trial.state.name for trial in trials) == ["COMPLETE"] * 5 + ["FAIL"]


def test_a_grid_needs_points(tmp_path):
    with pytest.raises(SweepError, match="only supports discrete.*Give ranges a step"):
        search(tmp_path, bowl, sampler=GRID)


def interrupted_at(count, trial):
    """A trial that a signal ends, after it saved itself, when it is the `count`-th."""
    seen = []

    def run(values, number):
        seen.append(number)
        if len(seen) == count:
            raise SystemExit(143)
        return trial(values, number)

    return run


@pytest.mark.fault("S2")
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_trial_is_launched_again_as_it_was(tmp_path, jobs):
    def stopped(values, number):
        if number == 2:
            raise pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM)))
        return bowl(values, number)

    first = Launcher(stopped)
    with pytest.raises(Interrupted, match="stopped by SIGTERM") as end:
        search(tmp_path, first, n_trials=3, n_jobs=jobs)
    assert end.value.exit_code == 143
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "RUNNING"]
    assert results(tmp_path)["trials"]["running"] == 1
    second = search(tmp_path, bowl)
    assert second.launched[0] == next(launch for launch in first.launched if launch[0] == 2)
    assert [number for number, _ in second.launched] == [2, 3, 4, 5]
    assert states(tmp_path) == ["COMPLETE"] * 6


def killed_again_and_again(folder: str) -> None:
    """In a process without threads: a search that dies at one commit of its database or launch after the other."""
    from gaze.sweeps import pictures

    pictures.pictures = lambda *_: {}
    home, draw = Path(folder), random.Random(0)
    open_storage(f"sqlite:///{home}/other.db", make=True)  # what this imports the children need not import again
    kills, code = 0, -1
    while code:
        dies_at = draw.randint(1, 14) if kills < 3 else draw.randint(14, 34)  # making a study has 20, a trial 13
        if not (child := os.fork()):
            moments = iter(range(dies_at))

            def maybe_die(*_: object, moments=moments) -> None:
                if next(moments, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)

            def trial(values, number):
                with (home / "log").open("a") as file:
                    file.write(f"{number} {values['x']} {values['y']}\n")
                maybe_die()
                return bowl(values, number)

            event.listen(Engine, "commit", maybe_die)
            code = 1
            try:
                search(home, trial, n_trials=8)
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), code
        kills += 1
        assert kills < 60, "it does not come to an end"
    (home / "kills").write_text(str(kills - 1))


@pytest.mark.fault("S2")
def test_kills_at_any_commit_lose_no_trial_and_run_none_twice(tmp_path):
    assert exit_code(killed_again_and_again, str(tmp_path)) == 0
    assert int((tmp_path / "kills").read_text()) >= 10
    assert states(tmp_path) == ["COMPLETE"] * 8
    launches = defaultdict(set)
    for line in (tmp_path / "log").read_text().splitlines():
        number, *point = line.split()
        launches[int(number)].add(tuple(point))
    assert sorted(launches) == list(range(8))
    assert all(len(points) == 1 for points in launches.values()), "a trial was launched again with other parameters"
    assert len(set.union(*launches.values())) == 8, "two trials have the same parameters"
    assert results(tmp_path)["trials"]["complete"] == 8


@pytest.mark.fault("S1")
def test_failed_trials_are_recorded_and_come_on_top(tmp_path, caplog):
    def trial(values, number):
        return {1: float("nan"), 3: (1.0, 2.0), 4: "fine"}.get(number, 1.0)

    search(tmp_path, trial, n_trials=6, max_failure_rate=0.7)
    assert states(tmp_path) == [*("COMPLETE", "FAIL", "COMPLETE", "FAIL", "FAIL"), *["COMPLETE"] * 4]
    assert "trial 1 failed: it returned nan; expected 1 finite number(s)" in caplog.text


@pytest.mark.fault("S1")
def test_too_many_failures_end_it_with_one_sentence(tmp_path):
    def trial(values, number):
        if number != 1:
            raise RuntimeError(f"trial {number} went wrong\nin the depths")
        return 1.0

    with pytest.raises(
        SweepError, match="4 of 5 trials failed, more than .*=0.3: .*/0, .*/4. Trial 0 said: trial 0 went wrong."
    ) as e:
        search(tmp_path, trial)
    assert "depths" not in str(e.value)
    assert results(tmp_path)["trials"]["fail"] == 4


def test_no_finished_trial_is_said(tmp_path, caplog):
    with pytest.raises(SweepError):
        search(tmp_path, lambda values, number: None)
    assert "no trial of study toy is complete, so there is no best one: 5 fail" in caplog.text
    assert "best_params" not in results(tmp_path)


def test_a_broken_config_stops_it_at_once_and_costs_no_trial(tmp_path):
    def trial(values, number):
        raise ConfigError("the config cannot be built:\n  trainer.amp: 'ture' is no bool")

    with pytest.raises(SweepError, match="trial 0 in .* cannot be built: .*\n.*no bool"):
        search(tmp_path, trial)
    assert states(tmp_path) == ["RUNNING"]
    search(tmp_path, bowl)
    assert states(tmp_path) == ["COMPLETE"] * 6


@pytest.mark.parametrize(
    ("said", "message", "left"),
    [
        ("the training split has 48 samples", "the first 3 trials all failed alike: .* 48 samples", ["FAIL"] * 2),
        ("outputs/0 is in use by process 7", "already runs in a job of an earlier search.*scancel", []),
    ],
)
def test_what_every_trial_would_meet_or_another_job_does_ends_it(tmp_path, said, message, left):
    def trial(values, number):
        raise RunError(said)

    with pytest.raises(SweepError, match=message):
        search(tmp_path, trial)
    assert states(tmp_path) == [*left, "RUNNING"]


def test_a_database_that_goes_away_ends_it_with_one_sentence(tmp_path, caplog):
    def trial(values, number):
        (tmp_path / "study.db").write_text("no database at all")
        return 1.0

    with pytest.raises(SweepError, match="database did not answer: .*Once it does, the same command goes on"):
        search(tmp_path, trial)
    assert "could not be written" in caplog.text


def test_a_launcher_that_launches_nothing_stops_it_at_once(tmp_path):
    launcher = Launcher(bowl)
    launcher.launch = lambda *_, **__: 1 / 0
    with pytest.raises(SweepError, match="the launcher could not launch a trial: division by zero"):
        search(tmp_path, launcher)


class Pool(Launcher):
    """Runs several trials at once; one of them kills its worker, and with it those beside it."""

    def __init__(self, deadly: int) -> None:
        super().__init__(bowl)
        self.deadly, self.beside, self.lock = deadly, threading.Barrier(2), threading.Lock()
        self.launches: list[int] = []

    def launch(self, job_overrides, initial_job_idx):
        with self.lock:
            self.launches.append(initial_job_idx)
        if initial_job_idx in (self.deadly, self.deadly + 1) and self.launches.count(initial_job_idx) == 1:
            self.beside.wait(10)
            raise BrokenProcessPool("a worker was killed")
        if initial_job_idx == self.deadly:
            raise BrokenProcessPool("a worker was killed")
        return super().launch(job_overrides, initial_job_idx)


@pytest.mark.fault("S1")
def test_a_dead_worker_fails_its_own_trial_and_not_those_beside_it(tmp_path, caplog):
    pool = Pool(deadly=2)
    search(tmp_path, pool, n_jobs=2)
    assert states(tmp_path) == ["COMPLETE", "COMPLETE", "FAIL", *["COMPLETE"] * 4]
    assert pool.launches.count(2) == pool.launches.count(3) == 2
    assert "trial 2 failed: a worker was killed" in caplog.text


def test_a_pruned_trial_counts_and_is_not_the_best(tmp_path):
    def trial(values, number):
        found = study_in(tmp_path)
        kept = optuna.Trial(found, found.trials[number]._trial_id)
        kept.report(10.0 + number, 1)
        if number % 2 == 0:
            kept.set_user_attr(PRUNED, 1)
        return float(number)

    search(tmp_path, trial, n_trials=4)
    assert states(tmp_path) == ["PRUNED", "COMPLETE", "PRUNED", "COMPLETE"]
    assert results(tmp_path)["best_trial"] == 1
    assert study_in(tmp_path).trials[2].value == 12.0  # the last that it reported


def test_several_objectives_end_in_a_front(tmp_path):
    def trial(values, number):
        return values["x"], 1 - values["x"] if number else 9.0

    two = {"direction": ["minimize", "maximize"], "config": {"objectives": ["a", "b"]}, "params": {"x": "range(1,9)"}}
    search(tmp_path, trial, **two, n_trials=5)
    found = results(tmp_path)
    assert all(set(solution) == {"params", "values", "trial"} for solution in found["solutions"])
    front = [solution["values"] for solution in found["solutions"]]
    assert front == [list(t.values) for t in study_in(tmp_path).best_trials]
    assert len(yaml.safe_load((tmp_path / "best.yaml").read_text())) == len(front)


WORDS = ["a,b", "it's", "x=1", "[1,2]", "null", " blank ", "true", "back\\slash"]


def test_choices_arrive_as_they_are(tmp_path):
    def quoted(word):
        return "'" + word.replace("'", "\\'") + "'"

    params = {"word": ",".join(map(quoted, WORDS)) + ",null,1.5,true"}
    launched = search(tmp_path, lambda values, number: 1.0, sampler=GRID, params=params, n_trials=99).launched
    arrived = [values["word"] for _, values in launched]
    for word in [*WORDS, None, 1.5, True]:
        assert word in arrived, word
    assert len(arrived) == len(WORDS) + 3


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (["nothing=1"], {}, "no trial can be launched with nothing=1 .*Could not override 'nothing'"),
        ([], {"params": {"gone": "interval(0,1)"}}, "no trial can be launched with gone=0.*Could not override 'gone'"),
        (["x=1", "y=1"], {}, "there is nothing to search"),
        (["x=range(3,1)"], {}, r"x=range\(3,1\) cannot be searched: .*at least one value"),
        ([], {"n_trials": 0}, "hydra.sweeper.n_trials is 0; expected 1 or more"),
        ([], {"max_failure_rate": 1.0}, "max_failure_rate is 1.0; expected from 0 to below 1"),
        ([], {"direction": "last"}, "direction is 'last'; expected minimize or maximize"),
        ([], {"study_name": None}, "the search has no name; give one with study=NAME"),
        ([], {"direction": ["minimize"] * 2}, "objectives are not given and .*one direction for each"),
        ([], {"storage": "nosuch://host/db"}, "database nosuch://host/db cannot be opened"),
        (
            [],
            {"direction": ["minimize"] * 2, "config": {"objectives": ["a", "b"]}, "pruner": {"_target_": "x"}},
            "Optuna prunes trials by one figure only",
        ),
    ],
)
def test_a_mistake_is_explained_before_the_first_trial(tmp_path, arguments, changes, message):
    with pytest.raises(SweepError, match=message):
        search(tmp_path, bowl, *arguments, **changes)
    assert not (tmp_path / "study.db").exists()


def test_the_command_line_beats_the_space(tmp_path):
    launched = search(tmp_path, bowl, "x=0.5", "y=choice(1,2)", n_trials=3).launched
    assert {values["x"] for _, values in launched} == {0.5}
    assert {values["y"] for _, values in launched} <= {1, 2}


@pytest.mark.fault("S3")
@pytest.mark.parametrize(
    ("arguments", "changes", "difference"),
    [
        (
            [],
            {"params": {"x": "interval(-2.0,1.0)", "y": "interval(-1.0,1.0)"}},
            r"space.x: .*low=-1.0.* -> .*low=-2.0",
        ),
        ([], {"params": {"x": "interval(-1.0,1.0)"}}, "space.y: .* -> None"),
        ([], {"direction": "maximize"}, r"directions: \['minimize'\] -> \['maximize'\]"),
        ([], {"sampler": {"_target_": "optuna.samplers.TPESampler", "seed": 0}}, "sampler._target_: .*Random.*TPE"),
        (["epochs=9"], {}, "epochs: 3 -> 9"),
    ],
)
def test_another_search_under_the_same_name_is_refused(tmp_path, arguments, changes, difference):
    search(tmp_path, bowl, n_trials=2)
    with pytest.raises(SweepError, match=f"was begun with another search: .*{difference}.*study=NAME"):
        search(tmp_path, bowl, *arguments, n_trials=4, **changes)
    assert states(tmp_path) == ["COMPLETE"] * 2


def test_keys_that_are_named_may_change(tmp_path):
    search(tmp_path, bowl, n_trials=1)
    allowed = {"resume": {"allow": ["epochs", "resume"]}}
    launched = search(tmp_path, bowl, "epochs=9", "resume={allow:[epochs]}", n_trials=2, config=allowed).launched
    assert launched[0][1]["epochs"] == 9


HOLD = """
import fcntl, os, sys
file = open(sys.argv[1], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write(str(os.getpid()))
file.flush()
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """The folder is in use by another process, with this id, while inside."""
    folder.mkdir(parents=True, exist_ok=True)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-S", "-c", HOLD, str(folder / ".lock")], **pipes) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield other.pid
        assert other.stdin is not None
        other.stdin.close()


@pytest.mark.fault("S3")
def test_a_second_search_in_the_folder_is_refused_at_once(tmp_path):
    with (
        held(tmp_path) as pid,
        pytest.raises(SweepError, match=f"is in use by process {pid}; wait for it, or"),
    ):
        search(tmp_path, bowl)
    search(tmp_path, bowl)


def test_trials_under_way_in_another_sweep_are_left_to_it(tmp_path):
    """Two folders, as on two machines, share one database."""
    here, there = tmp_path / "here", tmp_path / "there"
    shared = {"storage": f"sqlite:///{tmp_path}/shared.db", "n_trials": 4}
    with pytest.raises(SystemExit):
        search(here, interrupted_at(2, bowl), **shared)
    assert [number for number, _ in search(there, bowl, **shared).launched] == [2, 3]
    assert [number for number, _ in search(here, bowl, **shared).launched] == [1]


def test_a_run_that_still_trains_is_not_launched_again(tmp_path):
    with pytest.raises(SystemExit):
        search(tmp_path, interrupted_at(1, bowl))
    with (
        held(tmp_path / "0") as pid,
        pytest.raises(SweepError, match=f"trial 0 in .* still running, as process {pid};"),
    ):
        search(tmp_path, bowl)
    search(tmp_path, bowl)


@pytest.mark.fault("S3")
def test_a_study_of_somebody_else_is_not_taken(tmp_path):
    url = storage_url(None, tmp_path)
    optuna.create_study(study_name="toy", storage=open_storage(url, make=True)).add_trial(
        optuna.create_trial(value=1.0)
    )
    with pytest.raises(SweepError, match="'toy' was not begun by this sweeper"):
        search(tmp_path, bowl)


@pytest.mark.fault("X5")
def test_secrets_of_the_config_stay_out_of_the_study(tmp_path):
    search(tmp_path, bowl, n_trials=1, config={"word": None}, params={"x": "range(0,2)"}, sampler=GRID)
    assert owner(tmp_path) == owner(tmp_path)
    assert study_in(tmp_path).trials[0].user_attrs["sweep"] == owner(tmp_path)
    other = tmp_path / "other"
    search(other, bowl, "word='api_token: hush'", n_trials=1)
    assert b"hush" not in (other / "study.db").read_bytes()


def test_a_signal_between_two_trials_ends_it_with_the_right_code(tmp_path):
    def asked_to_stop(values, number):
        if number == 1:
            signal.raise_signal(signal.SIGTERM)
        return bowl(values, number)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as end:
        search(tmp_path, asked_to_stop)
    assert end.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert states(tmp_path) == ["COMPLETE", "RUNNING"]


@pytest.fixture(autouse=True)
def _said(caplog):
    caplog.set_level(logging.INFO)
