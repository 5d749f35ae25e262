"""Processes that tests may kill, and commands that need not import everything anew."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# What the commands import before they do anything: five seconds of each, were it not here already.
PRELOADED = ["torchmetrics", "timm", "scipy.stats", "scipy.optimize", "pyarrow.parquet", "hydra.main", "gaze.trainer"]
PRELOADED += ["gaze.datasets.gazefollow", "gaze.comparison", "gaze.published", "tests.stubs.training"]


def context() -> ForkServerContext:
    """Starts processes from a server without threads: a fork of pytest itself could inherit a lock that is taken."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(PRELOADED)
    return made


def exit_code(target: Callable[..., Any], *args: Any) -> int:
    """Exit code of a process that runs `target`; negative for a signal."""
    child = context().Process(target=_run, args=(target, *args))
    child.start()
    child.join(120)
    code = child.exitcode
    child.kill()
    assert code is not None, "the process hangs"
    return code


def _run(target: Callable[..., Any], *args: Any) -> None:
    multiprocessing.set_start_method("fork", force=True)  # for loader workers, as in a process that a user starts
    target(*args)


class Command:
    """A command line in a process of its own, in a group of its own as a shell would make it; used as a `Popen`.

    It is forked from the server, so that it differs from `python PROGRAM ARGUMENTS` in what is imported already only.
    """

    def __init__(self, directory: Path, program: str | Path, *arguments: str) -> None:
        self._streams = TemporaryDirectory()
        words = [str(program), *arguments]
        self._process = context().Process(target=_enter, args=(words, directory, self._streams.name, dict(os.environ)))
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote to stdout and stderr, when it has ended."""
        self._process.join(timeout)
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        out, err = (Path(self._streams.name, number).read_text() for number in "12")
        return out, err


def run_command(directory: Path, program: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python PROGRAM ARGUMENTS` in the directory, to its end. A program is a file, or the name of a module."""
    command = Command(directory, program, *arguments)
    out, err = command.communicate(timeout=200)
    return subprocess.CompletedProcess([str(program), *arguments], command.returncode, out, err)


def forked(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """`subprocess.run([sys.executable, ...], cwd)` for a command whose commands need not import everything anew either."""
    process = multiprocessing.get_context("fork").Process(target=_change, args=(words[1:], cwd))
    process.start()
    process.join()
    return subprocess.CompletedProcess(words, process.exitcode or 0)


def _change(words: list[str], cwd: Path) -> None:
    os.chdir(cwd)
    _program(words[1:] if words[0] == "-m" else words)


def _enter(words: list[str], directory: Path, streams: str, environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for number in (1, 2):
        os.dup2(os.open(Path(streams, str(number)), os.O_WRONLY | os.O_CREAT), number)
    multiprocessing.set_start_method("fork", force=True)
    _program(words)


def _program(words: list[str]) -> None:
    sys.argv = words
    if words[0].endswith(".py"):
        runpy.run_path(words[0], run_name="__main__")
    else:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
