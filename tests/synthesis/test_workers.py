"""Worker processes end with the process that started them, however it ends."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection

import psutil

from gaze.synthesis.workers import mapping
from tests.processes import context


def _identify(number: int) -> int:
    return os.getpid()


def _work(answers: Connection) -> None:
    with mapping(1) as each:
        answers.send(next(iter(each(_identify, [0]))))
        time.sleep(60)


def test_processes_do_not_outlive_a_parent_that_is_killed():
    ours, theirs = context().Pipe()
    parent = context().Process(target=_work, args=(theirs,))
    parent.start()
    assert ours.poll(100)
    worker = psutil.Process(ours.recv())
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    worker.wait(timeout=20)
