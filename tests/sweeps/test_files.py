"""Every search in conf/sweep composes, and searches what its model has."""

from __future__ import annotations

import re
import shlex

import pytest
from hydra import compose, initialize_config_module
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution

from gaze.runs import plain_config
from gaze.signatures import problems
from gaze.sweeps.space import samples, space_of, words
from gaze.sweeps.sweeper import StudySweeper, register
from tests.models import screens
from tests.test_conf import CONF, composed, options


def command(name: str) -> list[str]:
    """The words of the command in a sweep's file."""
    text = re.sub(r" \\\n#\s+", " ", (CONF / "sweep" / f"{name}.yaml").read_text())
    (line,) = re.findall(r"^#\s+python -m gaze\.train -m (.*)$", text, re.MULTILINE)
    assert f"sweep={name}" in shlex.split(line)
    return shlex.split(line)


SEARCHES = [n for n in options("sweep") if "/hydra/sweeper: gaze" in (CONF / "sweep" / f"{n}.yaml").read_text()]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_varies_what_its_model_has(name):
    with initialize_config_module("gaze.conf"):
        config = compose("train", overrides=command(name), return_hydra_config=True)
    sweeper = config.hydra.sweeper
    assert sweeper._target_ == f"{StudySweeper.__module__}.{StudySweeper.__name__}"
    assert config.hydra.sweep.dir == f"outputs/{config.name}/{config.study}"
    space = space_of(sweeper.params, command(name))
    assert set(sweeper.params) == set(space.varied)
    for values in samples(space):
        found = list(problems(plain_config(composed(*words(space, values, 3)))))
        assert all("a value is missing" in problem for problem in found), (values, found)
    directions = sweeper.direction if OmegaConf.is_list(sweeper.direction) else [sweeper.direction]
    assert set(directions) <= {"minimize", "maximize"}
    assert len(directions) == len(config.objectives or [None])
    assert len(directions) == 1 or sweeper.pruner is None
    if any(isinstance(d, CategoricalDistribution) for d in space.varied.values()):
        assert "CmaEs" not in sweeper.sampler._target_


def test_a_network_of_every_choice_sees_what_its_data_set_gives():
    """Sizes of crops, widths and fusions fit each other only once something is looked at."""
    name = "pog_latency"
    model, *others = command(name)
    with initialize_config_module("gaze.conf"):
        config = compose("train", overrides=command(name), return_hydra_config=True)
    varied = space_of(config.hydra.sweeper.params, command(name)).varied
    choices = {key: d.choices for key, d in varied.items() if isinstance(d, CategoricalDistribution)}
    for row in range(max(map(len, choices.values()))):  # each choice once, and crops of face and eyes that differ
        chosen = {key: those[(row + place) % len(those)] for place, (key, those) in enumerate(choices.items())}
        words = (*others, *(f"{key}={value}" for key, value in chosen.items()))
        name_of_model = model.removeprefix("model=")
        seen = screens.toy(name_of_model, *words)(screens.looks(name_of_model, 2, None, *words))
        assert seen.point.shape == (2, 2), chosen


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random", "grid", "nsgaii"])
@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "submitit_slurm"])
def test_samplers_and_launchers_are_a_word_each(sampler, launcher):
    if launcher != "basic" and sampler != "tpe":
        pytest.skip("one of each is enough")
    chosen = [f"hydra/sweeper/sampler={sampler}", f"hydra/launcher={launcher}", "hydra/sweeper/pruner=none"]
    with initialize_config_module("gaze.conf"):
        config = compose(
            "train", overrides=["model=gazelle_small", "sweep=lr", "seed=5", *chosen], return_hydra_config=True
        )
    assert config.hydra.sweeper.sampler.seed == 5
    assert config.hydra.sweeper.pruner._target_ == "optuna.pruners.NopPruner"
    assert launcher.removeprefix("submitit_") in config.hydra.launcher._target_.lower()


def test_hydra_knows_the_sweeper():
    register()
    assert StudySweeper in Plugins.instance().discover(Sweeper)
