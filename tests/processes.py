"""Processes that tests may kill."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from typing import Any


def context() -> ForkServerContext:
    """Starts processes from a server without threads: a fork of pytest itself could inherit a lock that is taken."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.stubs.training"])
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
