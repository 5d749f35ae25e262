"""A run is a directory: the composed config, and the weights and figures it led to.

config.yaml, overrides.yaml   what was asked for          last/, best/    checkpoints
environment.json              what it ran with            metrics.jsonl   the journal
provenance.json               what it was made from       resumed.json    what changed when it went on
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn

from gaze import holders
from gaze.checkpoints import Checkpoints, load_into
from gaze.durable import make_directory, write_text
from gaze.environment import environment
from gaze.errors import UserError
from gaze.journal import Journal
from gaze.loggers.description import document
from gaze.loggers.logger import Logger
from gaze.loggers.masking import masked
from gaze.plain_yaml import YamlError, only_values, plain_yaml
from gaze.resumed import FREE_TO_CHANGE, covered, differences, note, read, told
from gaze.signals import Interrupted
from gaze.signatures import problems
from gaze.stores.addresses import with_credentials
from gaze.trusted import MODELS, TRUSTED

logger = logging.getLogger(__name__)


class ConfigError(UserError, ValueError):
    """The config asks for something that cannot be built or continued."""


class RunError(UserError, RuntimeError):
    """A run directory cannot be used as asked."""


class Run:
    """The directory of one run, open for writing.

    Args:
        path: made if it does not exist.
        main: is this the process that writes? Other replicas only read.
    """

    def __init__(self, path: str | Path, main: bool = True) -> None:
        self.path, self.main = Path(path), main
        self.last = Checkpoints(self.path / "last", keep=2)
        self.best = Checkpoints(self.path / "best", keep=1)
        self.journal = Journal(self.path)

    @property
    def started(self) -> bool:
        """Was a checkpoint ever saved here?"""
        return bool(self.last.steps())

    def restore(self, model: nn.Module) -> dict[str, Any]:
        """Continue: load the last intact weights into `model`, rewind the journal, return the state; {} at the start."""
        state = self.last.load(model)
        if state is None:
            return {}
        if self.main:
            self.journal.rewind(state["step"], state["journal"])
            logger.info("continuing %s at step %d", self.path, state["step"])
        return state

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory: a second process that wants to train here fails at once.

        Raises:
            RunError: another process holds it, it can't be held, or nothing in it could be read back.
        """
        if not self.main:
            yield
            return
        try:
            str(self.path.absolute()).encode()
        except UnicodeEncodeError as error:
            raise RunError(
                f"{str(self.path)!r} is no UTF-8, so its weights could not be read; choose another dir="
            ) from error
        make_directory(self.path)
        with holders.hold(self.path, RunError, "choose another dir="):
            yield

    def open(self, config: DictConfig, overrides: Sequence[str], allow: Sequence[str]) -> None:
        """Write down what was asked for, or check that it is what was asked for the first time.

        Args:
            config: the composed config; `overrides` led to it.
            allow: keys that may differ from the interrupted run's.

        Raises:
            ConfigError: an interrupted run would go on with another config; the differences are listed.
        """
        allow = [allow] if isinstance(allow, str) else allow
        # Passwords and tokens are given again when a run goes on: none is written down.
        plain = plain_yaml(masked(yaml.safe_dump(plain_config(config), sort_keys=False)), "the config")
        file = self.path / "config.yaml"
        if self.started and not file.exists():
            raise RunError(f"{self.path} holds checkpoints but no config.yaml; restore it, or choose another dir=")
        changes: list[tuple[str, Any, Any]] = []
        if self.started:
            changes = list(differences(document(file), plain))
            refused = [change for change in changes if not covered(change[0], (*FREE_TO_CHANGE, *allow))]
            if refused:
                raise ConfigError(
                    f"{self.path} was started with another config: {told(refused)}. Repeat its overrides "
                    f"(in overrides.yaml there), or name what may change: 'resume.allow=[KEY,...]'"
                )
        if self.main:
            found = environment()
            if self.started:
                note(self.path, self.last.steps()[-1], changes, found)
            write_text(file, yaml.safe_dump(plain, sort_keys=False))
            write_text(self.path / "overrides.yaml", masked(yaml.safe_dump(list(overrides), sort_keys=False)))
            name = "environment_resumed.json" if self.started else "environment.json"
            write_text(self.path / name, json.dumps(found, indent=2))

    def made_from(self, facts: Mapping[str, Any], allow: Sequence[str] = ()) -> None:
        """Write down what was found to train from, or check that it is what was found the first time.

        Args:
            facts: see `gaze.provenance`.
            allow: keys that may differ from the interrupted run's.

        Raises:
            ConfigError: an interrupted run would go on with other data; the differences are listed.
        """
        first = read(self.path / "provenance.json") if self.started else None
        allow = [allow] if isinstance(allow, str) else allow
        found = differences(first, facts) if first else ()
        # Weights that the checkpoint is about to overwrite are not read again, so nothing is known of them now.
        changes = [change for change in found if change[2] is not None and not covered(change[0], allow)]
        if changes:
            raise ConfigError(
                f"{self.path} was started from something else: {told(changes)}. Bring it back, or allow another: "
                f"'resume.allow=[{','.join(dict.fromkeys(key.split('.')[0] for key, *_ in changes))}]'"
            )
        if self.main:
            name = "provenance_resumed.json" if self.started else "provenance.json"
            write_text(self.path / name, json.dumps(facts, indent=2))

    @contextmanager
    def logged(self, target: Logger, sweep: str | None = None) -> Iterator[None]:
        """Send the journal to a logger while inside, as a trial of `sweep` if there is one, and tell it how it ended."""
        if not self.main:
            yield
            return
        status = "FAILED"
        target.start(self.path, sweep)
        try:
            yield
            status = "FINISHED"
        except (Interrupted, KeyboardInterrupt):
            status = "KILLED"
            raise
        finally:
            target.finish(status)


def build(node: Any, trusted: Sequence[str] | None = None) -> Any:
    """What a config node describes; only trusted names are called: by default those of a training run.

    A `_partial_` becomes a plain functools.partial: Hydra's own checks its policy at every call.
    """
    made = instantiate(node, _convert_="object", _execution_whitelist_=list(trusted or TRUSTED))
    if isinstance(made, functools.partial):
        return functools.partial(made.func, *made.args, **made.keywords)
    return made


def chosen(config: DictConfig, group: str) -> dict[str, Any]:
    """The members of a list group by name, built; none if the list is empty.

    A model file may hold settings for a member that the command line then leaves out. Without the
    `_target_` from the member's own file they describe nothing.
    """
    nodes = config.get(group) or {}
    idle = [f"{group}.{name}" for name, node in nodes.items() if "_target_" not in node]
    if idle:
        logger.info("not chosen, so what is set for them has no effect: %s", ", ".join(idle))
    return {name: build(node) for name, node in nodes.items() if "_target_" in node}


# What conf/train.yaml holds at the top. Another key, added with "+", would be composed and never read.
TOP = {
    "hardware", "trainer", "optimizer", "schedule", "callback", "logger", "init", "backbone", "fusion", "head", "dataset",
    "val_dataset", "loss", "metric", "model", "name", "seed", "data_root", "dir", "resume", "clip", "codebook", "matching",
    "prompts", "moe", "temporal", "eye_rotation", "rasterize", "vae", "study", "objectives", "trial",
}  # fmt: skip


def check_stack(config: DictConfig) -> None:
    """Find every mistake in the whole config of a training run; see `check`.

    Raises:
        ConfigError: lists them.
    """
    found = [f"{key!s}: the config has no such key" for key in config if key not in TOP]
    if not isinstance(config.seed, int):
        found.append(f"seed: {config.seed!r} is no whole number")
    found += with_credentials(plain_config(config))
    if isinstance(config.val_dataset, str):
        found.append(f"val_dataset: choose another data set with dataset@val_dataset={config.val_dataset}")
    check(config, also=found)


def check(config: DictConfig, trusted: Sequence[str] | None = None, also: Sequence[str] = ()) -> None:
    """Find every mistake in a config that can be found without building it.

    Args:
        config: the whole of one, or a part.
        trusted: what it may call; None: what a training run may.
        also: mistakes that are known already.

    Raises:
        ConfigError: lists them: unknown or missing arguments, values of the wrong type, untrusted targets.
    """
    found = list(dict.fromkeys([*also, *problems(plain_config(config), trusted=trusted)]))
    if found:
        raise ConfigError("\n".join(["the config cannot be built:", *(f"  {problem}" for problem in found)]))


def plain_config(config: DictConfig | ListConfig) -> Any:
    """The config as dicts, lists and plain values, interpolations resolved."""
    return OmegaConf.to_container(config, resolve=True)


def load_config(run: str | Path) -> DictConfig:
    """The config of a finished or interrupted run.

    Raises:
        RunError: the directory holds no run.
    """
    file = Path(run) / "config.yaml"
    if not file.is_file():
        raise RunError(f"{run} holds no run: there is no config.yaml in it; give the directory of a training run")
    try:
        config = OmegaConf.create(only_values(plain_yaml(file.read_text(), file), file))
    except YamlError as error:
        raise RunError(f"{error}; no training run writes such a file, and it is not to be trusted") from error
    if not isinstance(config, DictConfig) or "model" not in config:
        raise RunError(f"{file} is not the config of a training run: it has no 'model'")
    return config


def load_model(run: str | Path) -> nn.Module:
    """The model of a run with its best weights, or its last if none were validated: frozen, in eval mode, on the CPU.

    It is built from the run's own config; weights that its constructors would read are read only if the
    checkpoint leaves them out, and then they must be what they were. Its
    `image_size`, `face_size` and `eye_size` are the (height, width) in pixels of the pictures it was trained on, or None.

    Raises:
        RunError: the directory holds no run, or no weights.
        ConfigError: its config names code that is not trusted, or arguments this version does not have.
        CheckpointError: its weights are damaged or do not fit its config.
    """
    config, opened = load_config(run), Run(run)
    model = build_model(config, with_weights=bool(opened.best.left_out() | opened.last.left_out()))
    path = opened.best.newest() or opened.last.newest()
    if path is None:
        raise RunError(f"{run} holds no weights: neither best/ nor last/ has a checkpoint; train it first")
    load_into(model, path)
    for name in ("image_size", "face_size", "eye_size"):
        size = OmegaConf.select(config, f"dataset.{name}")
        setattr(model, name, (size, size) if isinstance(size, int) else None if size is None else tuple(size))
    return model.eval().requires_grad_(False)


def build_model(config: DictConfig, with_weights: bool) -> nn.Module:
    """The model of a run's config, with or without the weights that its constructors read.

    Raises:
        ConfigError: the config names code that is not trusted, or arguments this version does not have.
    """
    plain = plain_config(config.model)
    node = OmegaConf.create({"model": plain if with_weights else without_weights(plain)})
    check(node, MODELS)
    model: nn.Module = build(node.model, MODELS)
    return model


def without_weights(node: Any) -> Any:
    """The node with every `weights` set to None: loading a run never reads what it is about to overwrite."""
    if isinstance(node, dict):
        return {key: None if key == "weights" else without_weights(value) for key, value in node.items()}
    return [without_weights(value) for value in node] if isinstance(node, list) else node
