"""Discovers the files of a config group and builds what they name, for contract tests."""

import copy
import functools
import inspect
from pathlib import Path

from hydra import compose, initialize_config_module
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf

import gaze
from gaze.trusted import MODELS

CONF = Path(gaze.__file__).parents[1] / "conf"


def names(group):
    """The files of conf/`group`."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def node(group, name):
    """The node of conf/`group`/`name`.yaml; list-groups hold it under its own name."""
    return copy.deepcopy(_composed(group, name))


@functools.cache
def _composed(group, name):
    config = OmegaConf.load(CONF / group / f"{name}.yaml")
    if (
        "defaults" in config
    ):  # composing takes a tenth of a second, which a file that includes no other need not wait for
        with initialize_config_module("gaze.conf"):
            config = OmegaConf.select(compose(f"{group}/{name}"), group)
    return config[name] if "_target_" not in config else config


def forward_annotations(config: DictConfig, method="forward"):
    """Argument names of the target's `method`, with their annotations as written."""
    parameters = inspect.signature(getattr(get_class(config._target_), method)).parameters
    return {name: str(parameter.annotation) for name, parameter in parameters.items()}


def build(config, **changes):
    """What the node names; `changes` replace its keys."""
    config = OmegaConf.create({key: value for key, value in config.items_ex(resolve=False) if key not in changes})
    return instantiate(config, **changes, _convert_="object", _execution_whitelist_=["gaze.*", *MODELS])
