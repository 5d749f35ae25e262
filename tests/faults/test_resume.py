"""Going on with something else: what may change, what is noted, what is refused."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from omegaconf import OmegaConf

from gaze.checkpoints import CheckpointError
from gaze.provenance import provenance
from gaze.runs import ConfigError, Run
from tests.stubs.line import Line, Net

CONFIG = {
    "seed": 0,
    "trainer": {"epochs": 3, "batch_size": 8},
    "optimizer": {"lr": 0.1},
    "hardware": {"workers": 2, "threads": 1, "amp_dtype": "bfloat16"},
    "dataset": {"root": "data"},
    "model": {"width": 8},
    "logger": {"experiment": "a"},
}


@pytest.fixture
def run(tmp_path):
    """An interrupted one."""
    run = Run(tmp_path)
    run.open(OmegaConf.create(CONFIG), ["model=x"], allow=[])
    run.made_from(provenance(Net(), {"train": Line("train")}))
    run.last.save(7, Net(), {})
    return run


def changed(key: str, value: object):
    config = OmegaConf.create(CONFIG)
    OmegaConf.update(config, key, value)
    return config


def notes(run: Run) -> list[dict]:
    return json.loads((run.path / "resumed.json").read_text())


@pytest.mark.fault("K9")
@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("logger.experiment", "b", "free"),
        ("hardware.workers", 0, "free"),
        ("hardware.threads", 2, "noted"),
        ("hardware.amp_dtype", "float16", "noted"),
        ("trainer.epochs", 9, "refused"),
        ("trainer.batch_size", 4, "refused"),
        ("optimizer.lr", 0.2, "refused"),
        ("seed", 1, "refused"),
        ("dataset.root", "elsewhere", "refused"),
        ("model.width", 16, "refused"),
    ],
)
def test_every_change_is_free_noted_or_refused(run, caplog, key, value, verdict):
    old = OmegaConf.select(OmegaConf.create(CONFIG), key)
    told = f"{key}: {old!r} -> {value!r}"
    if verdict == "refused":
        with pytest.raises(ConfigError) as refused:
            run.open(changed(key, value), [], allow=[])
        assert told in str(refused.value)
        assert not (run.path / "resumed.json").exists()
    run.open(changed(key, value), [], allow=[key] if verdict == "refused" else [])
    assert (told in caplog.text) == (verdict != "free")
    assert notes(run)[-1]["config"] == {key: [old, value]}
    assert notes(run)[-1]["step"] == 7


@pytest.mark.fault("K9")
@pytest.mark.parametrize(("fact", "value"), [("threads", 64), ("replicas", 8), ("cuda", "99.9")])
def test_another_environment_is_noted_and_said(run, caplog, monkeypatch, fact, value):
    from gaze import runs

    now = runs.environment()
    monkeypatch.setattr(runs, "environment", lambda: now | {fact: value, "host": "another"})
    with caplog.at_level(logging.WARNING):
        run.open(OmegaConf.create(CONFIG), [], allow=[])
        run.open(OmegaConf.create(CONFIG), [], allow=[])
    assert f"goes on with {fact}: {now[fact]!r} -> {value!r}; noted in resumed.json" in caplog.text
    assert [note["environment"] for note in notes(run)] == [{fact: [now[fact], value]}] * 2
    assert json.loads((run.path / "environment.json").read_text())[fact] == now[fact]  # of the first start


@pytest.mark.fault("K9")
def test_other_labels_under_the_same_config_are_refused(run):
    run.made_from(provenance(Net(), {"train": Line("train")}))
    facts = provenance(Net(), {"train": Line("train", samples=47)})
    with pytest.raises(
        ConfigError, match=r"started from something else: data\.train\.samples: 48 -> 47; data.*allow=\[data\]"
    ):
        run.made_from(facts)
    run.made_from(facts, allow=["data"])
    assert json.loads((run.path / "provenance.json").read_text())["data"]["train"]["samples"] == 48


@pytest.mark.fault("K9")
def test_another_width_is_refused_whatever_is_allowed(run):
    net = Net(width=16)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"another model: shapes differ for .*\(8, 2\) instead of \(16, 2\)"):
        run.last.load(net)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
