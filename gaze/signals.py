"""Stopping cleanly when somebody asks."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)


class Interrupted(Exception):
    """Training stopped because of a signal, after its state was saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum

    def __reduce__(self) -> tuple[type[Interrupted], tuple[int]]:
        return type(self), (self.signum,)  # a trial's process sends it to that of the search

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended: 143 for SIGTERM, 130 for Ctrl-C."""
        return 128 + self.signum


class StopFlag:
    """The last stop signal that arrived; 0 for none."""

    def __init__(self) -> None:
        self.signum = 0

    def raise_flag(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler: it only remembers, so a save in progress is never cut short.

        Raises:
            KeyboardInterrupt: Ctrl-C came a second time. What is saved stays valid: it is renamed into place.
        """
        if self.signum == signum == signal.SIGINT:
            raise KeyboardInterrupt
        os.write(2, b"\nstopping after this step; Ctrl-C once more stops at once\n")  # print may be in use
        self.signum = signum


@contextmanager
def stop_signals() -> Iterator[StopFlag]:
    """While inside, stop signals set the flag instead of ending the process."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield flag
        return
    before: dict[int, Any] = {s: signal.signal(s, flag.raise_flag) for s in STOP}
    try:
        yield flag
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def pass_on(signum: int) -> None:
    """Tell whoever handles this signal otherwise, now that all is saved and closed.

    submitit then puts a job that met its time limit back into the queue.
    """
    handler = signal.getsignal(signum)
    if callable(handler) and handler is not signal.default_int_handler:
        handler(signum, None)
