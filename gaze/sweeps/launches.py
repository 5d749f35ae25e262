"""Trials under way: one after the other in this thread, or several at once in the processes of a launcher."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher

from gaze.holders import holder
from gaze.signals import STOP

Ended = JobReturn | BaseException  # what a launcher returned, or raised
SAVE_S = 30.0  # how long trials that were told to stop may take to save themselves

logger = logging.getLogger(__name__)


class Launches:
    """The trials that a launcher is running.

    A launcher returns when all the jobs it was given have ended, so that a quick one, or one that is pruned, would wait for
    the slowest. Here each trial is launched by itself, from a thread of its own, and the next begins as soon as one ends.

    Args:
        launcher: Hydra's, set up.
        jobs: trials at once. One is launched from this thread.
        folder: of the sweep.
    """

    def __init__(self, launcher: Launcher, jobs: int, folder: Path) -> None:
        if jobs > 1 and isinstance(launcher, BasicLauncher):
            logger.info("Hydra's basic launcher runs one trial at a time; hydra/launcher=joblib runs %d", jobs)
            jobs = 1
        self.launcher, self.jobs, self.folder = launcher, jobs, folder
        self.running: list[int] = []
        self._words: dict[int, Sequence[str]] = {}
        self._ended: queue.SimpleQueue[tuple[int, Ended]] = queue.SimpleQueue()
        # It would say what we say, and number the trials anew.
        logging.getLogger(type(launcher).__module__.rpartition(".")[0]).setLevel(logging.WARNING)

    @property
    def free(self) -> bool:
        """Is there room for another trial?"""
        return len(self.running) < self.jobs

    def start(self, number: int, words: Sequence[str]) -> None:
        """Launch a trial, as the job of that number."""
        self.running.append(number)
        self._words[number] = words
        if self.jobs > 1:
            threading.Thread(target=self._follow, args=(number, words), daemon=True).start()

    def next(self, timeout: float | None = None) -> tuple[int, Ended]:
        """Wait until a trial has ended: its number, and what came of it.

        Raises:
            queue.Empty: none has ended within `timeout` seconds.
        """
        if self.jobs == 1:
            number = self.running[0]
            self._follow(number, self._words[number])
        number, ended = self._ended.get(timeout=timeout)
        self.running.remove(number)
        return number, ended

    def stop(self) -> None:
        """Tell the trials that run on this machine to save themselves, and end what has not within half a minute."""
        if self.jobs == 1 or not self.running:
            return
        told = [pid for number in self.running if (pid := holder(self.folder / str(number))) and _ours(pid)]
        for pid in told:
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + SAVE_S
        while told and self.running and time.monotonic() < deadline:
            try:
                self.next(timeout=0.2)
            except queue.Empty:
                told = [pid for pid in told if _ours(pid)]
        for child in _workers():  # those whose trial has not begun yet, and idle ones
            child.kill()

    def _follow(self, number: int, words: Sequence[str]) -> None:
        ended: Ended
        try:
            (ended,) = self.launcher.launch([words], initial_job_idx=number)
        except BaseException as error:
            if self.jobs == 1 and not isinstance(error, Exception):
                raise  # a signal: the trial has saved itself, and this process ends
            ended = error
        self._ended.put((number, ended))


@contextmanager
def signals_end() -> Iterator[None]:
    """While inside, a stop signal ends the process by way of `finally`. A trial in this process has handlers of its own."""

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before: dict[int, Any] = {s: signal.signal(s, stop) for s in STOP}
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def _workers() -> list[Any]:
    """Processes that this one has started, but for the one that cleans up after joblib's."""
    import psutil

    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline()):
                found.append(child)
    return found


def _ours(pid: int) -> bool:
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and any(up.pid == os.getpid() for up in process.parents())
    except psutil.NoSuchProcess:
        return False
