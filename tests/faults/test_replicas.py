"""The entry under torchrun: two replicas share a directory, stop together and go on together."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
import yaml

from gaze.checkpoints import Checkpoints
from tests.datasets.folders import write_gazefollow_folder
from tests.stubs.entry import TOY, start_replicas

RUN = (
    *TOY,
    "hardware=ddp",
    "dir=run",
    "trainer.batch_size=2",
    "callback=[log,checkpoint]",
    "callback.log.every_steps=1",
)


@pytest.mark.fault("K2")
@pytest.mark.slow
def test_two_replicas_start_stop_at_a_signal_and_go_on(tmp_path):
    write_gazefollow_folder(tmp_path / "data", {"train": 24, "val": 5}, size=(32, 32))
    first = start_replicas(tmp_path, *RUN, "trainer.epochs=3000")
    journal = tmp_path / "run" / "metrics.jsonl"
    try:
        deadline = time.monotonic() + 150
        while not journal.exists() or len(journal.read_text().splitlines()) < 8:
            assert time.monotonic() < deadline, "training did not begin"
            assert first.poll() is None, first.communicate()[1]
            time.sleep(0.2)
        first.send_signal(signal.SIGTERM)  # torchrun passes it on
        output = first.communicate(timeout=100)[1]
    finally:
        if first.poll() is None:
            os.killpg(first.pid, signal.SIGKILL)
    assert "stopped by SIGTERM" in output
    stopped_at = Checkpoints(tmp_path / "run" / "last").steps()[-1]
    assert stopped_at >= 8

    epochs = stopped_at // 6 + 2
    rest = start_replicas(tmp_path, *RUN, f"trainer.epochs={epochs}", "resume.allow=[trainer.epochs]")
    output = rest.communicate(timeout=150)[1]
    assert rest.returncode == 0, output
    assert f"continuing {tmp_path / 'run'} at step {stopped_at}" in output
    assert Checkpoints(tmp_path / "run" / "last").steps()[-1] == epochs * 6
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["hardware"]["distributed"] is True
    steps = [json.loads(line)["step"] for line in journal.read_text().splitlines() if "train/loss" in line]
    assert steps == sorted(set(steps))  # one replica writes, and nothing twice
