"""The entry under torch elastic: a replica that dies is started again, all stop together, and the end is the same."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from gaze.checkpoints import WEIGHTS, Checkpoints, read_weights
from gaze.signals import STOP
from tests.datasets.folders import write_gazefollow_folder
from tests.processes import context
from tests.stubs.entry import TOY

RUN = (
    *TOY,
    "hardware=ddp",
    "hardware.timeout_s=60",
    "trainer.batch_size=2",
    "trainer.epochs=4",
    "callback=[log,checkpoint]",
    "callback.log.every_steps=1",
    "callback.checkpoint.every_steps=1",
)


def replica(directory: Path, words: list[str]) -> None:
    """What torchrun would start: the entry, which says where it is. Forked, so that nothing is imported anew."""
    torch.set_num_threads(1)
    for signum in STOP:  # the launcher's own answers are not those of a process that begins
        signal.signal(signum, signal.SIG_DFL)
    name = f"{os.environ['RANK']}-{os.environ['TORCHELASTIC_RESTART_COUNT']}"
    (directory / name).write_text(str(os.getpid()))
    sys.argv = ["gaze.train", *words]
    from gaze.train import main

    main()


def launch(directory: Path, words: list[str]) -> None:
    """Two replicas on this host, restarted once."""
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.setsid()
    os.chdir(directory)
    os.dup2(os.open("output", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    config = LaunchConfig(
        *(1, 1, 2),
        run_id="test",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=1,
        start_method="fork",
        local_addr="127.0.0.1",
    )
    elastic_launch(config, replica)(directory, words)


def start(directory: Path, *words: str):
    """The launcher in a process of its own."""
    child = context().Process(target=launch, args=(directory, [*RUN, *words]))
    child.start()
    return child


def waits_for(true, child) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + 100
    while not true():
        assert time.monotonic() < deadline, "it does not happen"
        assert child.exitcode is None, "the launcher ended"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.fault("K2")
@pytest.mark.fault("R1")
def test_a_killed_replica_starts_again_and_after_a_signal_all_go_on_to_the_same_end(tmp_path):
    write_gazefollow_folder(tmp_path / "data", {"train": 24, "val": 5}, size=(32, 32))
    last = Checkpoints(tmp_path / "run" / "last")
    first, rest, whole = start(tmp_path, "dir=run"), None, None
    try:
        waits_for(lambda: last.steps() and last.steps()[-1] >= 3, first)
        os.kill(int((tmp_path / "1-0").read_text()), signal.SIGKILL)
        waits_for(lambda: (tmp_path / "1-1").exists(), first)
        again = last.steps()[-1]
        waits_for(lambda: last.steps()[-1] > again, first)
        os.kill(first.pid, signal.SIGTERM)  # the launcher passes it on
        first.join(60)
        stopped_at = last.steps()[-1]
        output = (tmp_path / "output").read_text()
        assert "stopped by SIGTERM" in output, output
        assert again < stopped_at < 24

        rest = start(tmp_path, "dir=run")
        rest.join(100)
        assert rest.exitcode == 0, (tmp_path / "output").read_text()
        whole = start(tmp_path, "dir=whole")
        whole.join(100)
    finally:
        for child in (first, rest, whole):
            if child is not None and child.exitcode is None:
                os.killpg(child.pid, signal.SIGKILL)
    assert last.steps()[-1] == 24
    ends = [read_weights(tmp_path / name / "last" / "step-00000024" / WEIGHTS) for name in ("run", "whole")]
    assert all(torch.equal(ends[0][name], tensor) for name, tensor in ends[1].items())
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if "train/loss" in line]
    assert steps == sorted(set(steps))  # one replica writes, and nothing twice
