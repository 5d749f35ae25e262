"""Biases move once in a step, experts are watched, and an interruption changes neither."""

from __future__ import annotations

import logging
from functools import partial

import pytest
import torch
from torch import nn

from gaze.callbacks.checkpoint import Checkpoint
from gaze.callbacks.ema import EMA
from gaze.callbacks.log import Log
from gaze.callbacks.router import Router
from gaze.moe import mixture, router
from gaze.signals import Interrupted
from tests.stubs.line import Line, Point
from tests.stubs.training import line_trainer
from tests.test_trainer import StopAt


class Net(nn.Module):
    """A straight line through two mixtures."""

    def __init__(self, bias_rate=0.01, **changes):
        super().__init__()
        routers = partial(router.Router, bias_rate=bias_rate)
        self.stem, self.head = nn.Linear(2, 8), nn.Linear(8, 1)
        self.layers = nn.ModuleList(mixture.Mixture(8, 4, 2, 8, router=routers, **changes) for _ in range(2))

    def forward(self, inputs):
        x = self.stem(inputs.x)[:, None]
        for layer in self.layers:
            x = x + layer(x).tokens
        return Point(self.head(x[:, 0]))


def trainer_of(path, stop=None, model=None, patience=1000, **changes):
    torch.manual_seed(0)
    callbacks = {"router": Router(patience=patience), "ema": EMA(0.5), "log": Log(every_steps=4)}
    callbacks |= ({"stop": stop} if stop else {}) | {"checkpoint": Checkpoint(every_steps=None, every_minutes=None)}
    settings = {"model": model or Net(), "callbacks": callbacks, "epochs": 2, "accumulate": 2, "batch_size": 4}
    settings |= {"train_set": Line("train", samples=24), "val_set": Line("val", samples=4)}
    return line_trainer(path, **(settings | changes))


def test_a_step_settles_once_what_all_its_passes_asked(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(router.Router, "settle", lambda self, counts: told.append(counts.clone()))
    trainer = trainer_of(tmp_path)
    trainer.fit()
    assert len(told) == 2 * trainer.progress.steps
    assert all(counts.sum() == 2 * 2 * 4 for counts in told)  # top-2, two passes, four samples; none of validation


def test_a_stop_changes_neither_biases_nor_figures(tmp_path):
    whole, part = trainer_of(tmp_path / "whole"), trainer_of(tmp_path / "part", StopAt(2))
    whole.fit()
    with pytest.raises(Interrupted):
        part.fit()
    rest = trainer_of(tmp_path / "part")
    rest.fit()
    biases = [[layer.router.bias for layer in t.model.layers] for t in (rest, whole)]
    assert all(torch.equal(a, b) and a.abs().sum() > 0 for a, b in zip(*biases, strict=True))
    averaged = whole.eval_model.layers[0].router.bias
    assert torch.equal(averaged, whole.model.layers[0].router.bias)
    entries = [e.values for e in whole.run.journal.read()]
    resumed = [e.values for e in rest.run.journal.read()]
    lines = [[{k: v for k, v in e.items() if "router" in k} for e in run] for run in (entries, resumed)]
    assert lines[0] == lines[1]
    figures = lines[0][0]
    assert set(figures) == {
        f"train/router/{layer}/{name}"
        for layer in "01"
        for name in ("max_vio", "entropy", "dropped", "dead", *(f"share_{e:02d}" for e in range(4)))
    }
    assert sum(v for k, v in figures.items() if "0/share" in k) == pytest.approx(1)
    assert 0 < figures["train/router/1/entropy"] <= torch.tensor(4.0).log() + 1e-5
    assert figures["train/router/0/dropped"] == figures["train/router/0/dead"] == 0


def test_dead_experts_and_unrest_are_told_once(tmp_path, caplog):
    model = Net(bias_rate=0.0, capacity_factor=0.5)
    for layer in model.layers:
        layer.router.bias[:2] = 5.0  # the same two for everybody
    trainer = trainer_of(tmp_path, model=model, patience=3)
    trainer.callbacks["router"].alarm_above = 0.5
    with caplog.at_level(logging.WARNING):
        trainer.fit()
    last = [e.values for e in trainer.run.journal.read() if "train/router/0/dead" in e.values][-1]
    assert last["train/router/0/dead"] == 2
    assert last["train/router/0/max_vio"] == pytest.approx(1)
    assert last["train/router/0/dropped"] == pytest.approx(0.75)  # room for a quarter of a sample's questions
    assert [r.message.split(":")[0] for r in caplog.records if "router" in r.message] == ["router 0", "router 1"]


def test_a_model_without_experts_is_left_alone(tmp_path):
    line_trainer(tmp_path, {"router": Router(), "log": Log()}, epochs=1).fit()
    with pytest.raises(ValueError, match="patience is 0"):
        Router(patience=0)
