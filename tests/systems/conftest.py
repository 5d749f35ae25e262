"""Trains a stub system as a user would: its config is composed with the real one, its classes come from `tests.stubs`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict
from torch import Tensor

import gaze.train
from gaze.callbacks.callback import Callback
from gaze.checkpoints import read_weights
from gaze.signals import Interrupted
from gaze.trainer import Trainer
from gaze.trusted import MODELS, TRUSTED

STUBS = Path(__file__).parents[1] / "stubs" / "conf"
TOY = ("hardware=cpu", "hardware.workers=0", "logger=none", "trainer.batch_size=4", "trainer.epochs=1")


@dataclass
class Trained:
    """What came of a run."""

    config: DictConfig
    trainer: Trainer
    started_from: dict[str, Tensor]  # the weights with which training began
    interrupted: Interrupted | None
    figure: float | None

    @property
    def weights(self) -> dict[str, Tensor]:
        return self.trainer.model.state_dict()

    @property
    def saved(self) -> dict[str, Tensor]:
        newest = self.trainer.run.last.newest()
        assert newest is not None
        return read_weights(newest / "model.safetensors")

    @property
    def moved(self) -> set[str]:
        return {name for name, tensor in self.weights.items() if not torch.equal(tensor, self.started_from[name])}

    def journal(self, key: str) -> dict[int, float]:
        """Step -> figure, where there is one."""
        return {e.step: e.values[key] for e in self.trainer.run.journal.read() if key in e.values}


class StopAt(Callback):
    """Asks the run to stop, as a scheduler would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def step_end(self, trainer, terms):
        if trainer.progress.step == self.step:
            signal.raise_signal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def trusted_stubs(monkeypatch):
    """Configs may name stubs, in these tests only."""
    for module in ("gaze.trusted", "gaze.signatures", "gaze.runs"):
        monkeypatch.setattr(f"{module}.TRUSTED", (*TRUSTED, "tests.stubs.*"))
    monkeypatch.setattr("gaze.runs.MODELS", (*MODELS, "tests.stubs.*"))


def composed(path: Path, *overrides: str) -> DictConfig:
    """The config of a run in `path`, with what Hydra knows about it."""
    toy = [*TOY, f"dir={path}", f"hydra.searchpath=[file://{STUBS}]"]
    with initialize_config_module("gaze.conf"):
        config = compose("train", overrides=[*toy, *overrides], return_hydra_config=True)
    with open_dict(config):
        config.hydra.runtime.output_dir = str(path)
    return config


@pytest.fixture
def train(monkeypatch) -> Callable[..., Trained]:
    """`train(path, *overrides, stop_at=None)`: the real entry, without Hydra's command line around it."""
    fit, entry = Trainer.fit, gaze.train.main.__wrapped__.__wrapped__

    def run(path: Path, *overrides: str, stop_at: int | None = None) -> Trained:
        seen: list[Trainer] = []
        start: dict[str, Tensor] = {}

        def watched(trainer: Trainer) -> dict[str, float]:
            seen.append(trainer)
            start.update({name: tensor.clone() for name, tensor in trainer.model.state_dict().items()})
            if stop_at is not None:
                trainer.callbacks = {"stop": StopAt(stop_at), **trainer.callbacks}
            return fit(trainer)

        monkeypatch.setattr(Trainer, "fit", watched)
        config = composed(path, *overrides)
        HydraConfig.instance().set_config(config)
        with open_dict(config):
            del config["hydra"]
        figure, interrupted = None, None
        try:
            figure = entry(config)
        except Interrupted as stop:
            interrupted = stop
        return Trained(config, seen[0], start, interrupted, figure)

    return run


@pytest.fixture
def continues(train, tmp_path) -> Callable[..., tuple[Trained, Trained]]:
    """Checks that a run that is stopped and continued ends as one that is not; gives the whole and the continued one."""

    def compare(step: int, *overrides: str, between: Callable[[], object] = lambda: None) -> tuple[Trained, Trained]:
        whole = train(tmp_path / "whole", *overrides)
        assert whole.interrupted is None
        assert train(tmp_path / "part", *overrides, stop_at=step).interrupted is not None
        between()
        rest = train(tmp_path / "part", *overrides)
        assert rest.trainer.progress.step == whole.trainer.progress.step
        assert rest.figure == whole.figure
        for name, tensor in whole.weights.items():
            assert torch.equal(tensor, rest.weights[name]), name
        return whole, rest

    return compare
