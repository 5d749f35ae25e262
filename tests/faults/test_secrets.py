"""Secrets of the environment and of addresses: whatever a run writes down, they are not in it."""

from __future__ import annotations

import logging
import sys
from contextlib import nullcontext

import pytest
import torch
import yaml
from omegaconf import OmegaConf

import gaze.train
from gaze.environment import environment
from gaze.loggers.description import document, parameters
from gaze.loggers.masking import MASK, Masked, masked
from gaze.runs import Run
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.entry import TOY

SECRETS = {"CLOUD_SECRET": "hunter2hunter2", "DB_PASSWORD": "correct-horse-battery", "HUB_TOKEN": "hf_0123456789"}
IN_ADDRESS = "swordfish"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def leaks(folder):
    """Files in which a secret stands."""
    words = [word.encode() for word in (*SECRETS.values(), IN_ADDRESS)]
    return [
        f"{file.name}: {word!r}"
        for file in folder.rglob("*")
        if file.is_file()
        for word in words
        if word in file.read_bytes()
    ]


@pytest.mark.fault("X5")
def test_no_file_of_a_run_holds_a_secret_nor_does_what_it_says(tmp_path, monkeypatch, capfd):
    """One that ends, and one that fails with a secret in its error: config, log, journal, checkpoints and terminal."""
    write_gazefollow_folder(tmp_path / "data", {"train": 12, "val": 4}, size=(32, 32))
    monkeypatch.chdir(tmp_path)
    asked = ["name=x_${oc.env:CLOUD_SECRET}", f"data_root=https://me:{IN_ADDRESS}@host/data"]
    for run, more in (("run", []), ("bad", ["dataset.root=gone_${oc.env:DB_PASSWORD}"])):
        monkeypatch.setattr(sys, "argv", ["gaze-train", *TOY, f"dir={run}", *asked, *more])
        logging.getLogger().handlers.clear()
        with pytest.raises(SystemExit) if more else nullcontext():
            gaze.train.main()
    logging.getLogger().handlers.clear()
    said = "".join(capfd.readouterr())
    assert f"gone_{MASK}" in said, "the error of the second run"
    assert not any(word in said for word in (*SECRETS.values(), IN_ADDRESS))
    assert (tmp_path / "run" / "best").is_dir()
    assert leaks(tmp_path / "run") + leaks(tmp_path / "bad") == []
    written = (tmp_path / "run" / "config.yaml").read_text()
    assert f"name: x_{MASK}" in written
    assert f"https://{MASK}@host/data" in written
    sent = parameters(document(tmp_path / "run" / "config.yaml"))
    assert not any(word in str(sent) for word in (*SECRETS.values(), IN_ADDRESS))


@pytest.mark.fault("X5")
def test_a_run_goes_on_though_its_secrets_are_not_written_down(tmp_path):
    config = OmegaConf.create({"name": SECRETS["DB_PASSWORD"], "seed": 0})
    run = Run(tmp_path)
    run.open(config, ["name=" + SECRETS["DB_PASSWORD"]], allow=[])
    run.last.save(1, torch.nn.Linear(1, 1), {})
    run.open(config, [], allow=[])
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(OmegaConf.to_container(config)))  # as versions before wrote it
    run.open(config, [], allow=[])
    assert leaks(tmp_path) == []


@pytest.mark.fault("X5")
def test_the_command_is_noted_without_its_secrets(monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["gaze-train", f"logger.tracking_uri=http://me:{IN_ADDRESS}@host", "x.password=abc"]
    )
    told = environment()["command"]
    assert told == f"gaze-train logger.tracking_uri=http://{MASK}@host x.password={MASK}"


@pytest.mark.fault("X5")
def test_tracebacks_in_the_log_hold_none_either():
    formatter = Masked("%(message)s")
    try:
        raise ValueError(f"no answer from s3://key:{IN_ADDRESS}@bucket, {SECRETS['HUB_TOKEN']}")
    except ValueError:
        record = logging.LogRecord("gaze", logging.ERROR, "x", 1, "failed", (), sys.exc_info())
    line = formatter.format(record)
    assert f"no answer from s3://{MASK}@bucket, {MASK}" in line
    assert "Traceback" in line


def test_short_values_are_words_and_stay(monkeypatch):
    monkeypatch.setenv("USE_TOKEN", "true")
    assert masked("amp: true") == "amp: true"
