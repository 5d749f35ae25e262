"""Spreads the drawing of pictures over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from os import _exit
from signal import SIG_IGN, SIGINT, signal
from threading import Thread

import torch


@contextmanager
def mapping(workers: int) -> Iterator[Callable]:
    """`map`, or one that spreads over processes and stops them when its user fails."""
    if workers == 0:
        yield map
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_start)
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _start() -> None:
    torch.set_num_threads(1)  # the processes share the cores already
    signal(SIGINT, SIG_IGN)  # the parent stops them
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed stops nobody, and its processes would wait for work forever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        _exit(1)
