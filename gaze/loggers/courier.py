"""The process beside training that carries the journal to MLflow: `python -m gaze.loggers.courier`.

A process and not a thread: MLflow takes seconds of processor time to import and holds Python's lock
while it works, and a loader worker that is forked in the middle of an import inherits locks that
nobody will ever open. Nothing that happens here reaches training.

It reads one line of JSON (`Orders`) from its standard input, and later the status of the run. When
the input ends without a status, training was killed. Each line that it writes is a warning for the log.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

from gaze.journal import Journal
from gaze.loggers.delivery import Delivery
from gaze.loggers.ledger import LOCK, Ledger
from gaze.loggers.machine import Machine
from gaze.loggers.masking import masked

LONGEST_S = 60.0  # between two attempts while the store is away
LOCK_S = 150.0
LAST_ATTEMPTS = 3  # after the end of training, a second and two apart


class Orders(NamedTuple):
    """What the logger asks for."""

    directory: str
    uri: str  # with credentials, unlike the one in the settings
    settings: dict[str, Any]  # for the ledger
    process: int  # id of the training process
    interval_s: float
    system_s: float


class Courier:
    """Sends and waits, until training ends.

    Args:
        statuses: gets one item, how the run ended.
        warn: where the one warning of an outage goes.
    """

    def __init__(self, orders: Orders, statuses: queue.Queue[str], warn: Callable[[str], None]) -> None:
        self.ledger = Ledger(Path(orders.directory))
        self.ledger.settings = orders.settings | {"started": self.ledger.settings.get("started", time.time())}
        self.ledger.status = self.ledger.ended = None
        self.ledger.save()
        self.delivery = Delivery(Path(orders.directory), self.ledger, orders.uri)
        self.interval_s = orders.interval_s
        self.warn = warn
        self._statuses = statuses
        self._failures = 0

    def run(self) -> bool:
        """Work until training ends and all is sent or given up; whether all was sent."""
        while True:
            self._attempt(None)
            try:
                return self._end(self._statuses.get(timeout=self._pause()))
            except queue.Empty:
                continue

    def _attempt(self, status: str | None) -> bool:
        try:
            self.delivery.send(status)
        except Exception as error:  # training goes on whatever MLflow, the disk or the network say
            if self._failures == 0:
                reason = " ".join(masked(str(error)).split())[:300]
                self.warn(f"{type(error).__name__}: {reason}")
            self._failures += 1
            return False
        self._failures = 0
        return True

    def _pause(self) -> float:
        """Seconds to the next attempt: 2, 4, 8 … after failures."""
        if self._failures == 0:
            return self.interval_s
        return min(LONGEST_S, 2.0 ** min(self._failures, 10))

    def _end(self, status: str) -> bool:
        self.ledger.status, self.ledger.ended = status, time.time()
        self.ledger.save()
        attempts = 1 if self._failures else LAST_ATTEMPTS  # a store that was away is probably still away
        for attempt in range(attempts):
            if self._attempt(status):
                return True
            time.sleep(float(attempt + 1) if attempt + 1 < attempts else 0.0)
        return False


def watch(orders: Orders, ended: threading.Event) -> None:
    """Write the load of the machine into the journal until training has ended, whatever the store does."""
    machine, journal = Machine(orders.process), Journal(Path(orders.directory))
    position = step = 0
    while not ended.wait(orders.system_s):
        entries, position = journal.read_from(position)
        step = max([step, *(entry.step for entry in entries)])
        journal.write(step, machine.sample())


def main(source: IO[str], warn: Callable[[str], None]) -> int:
    """0 when everything was sent."""
    # Training is told to stop, and then tells us. A signal to the whole group must not come first.
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    from filelock import FileLock, Timeout

    orders = Orders(**json.loads(source.readline()))
    statuses: queue.Queue[str] = queue.Queue()
    ended = threading.Event()

    def listen() -> None:
        status = source.readline().strip() or "KILLED"
        ended.set()
        statuses.put(status)

    threading.Thread(target=listen, daemon=True).start()
    try:
        # The courier of an interrupted run may still be at work.
        with FileLock(Path(orders.directory) / LOCK, timeout=LOCK_S):
            if orders.system_s > 0:
                threading.Thread(target=watch, args=(orders, ended), daemon=True).start()
            return 0 if Courier(orders, statuses, warn).run() else 1
    except Timeout:
        warn("another process is sending this run")
        return 1
    except Exception as error:
        warn(f"{type(error).__name__}: {masked(str(error))}")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.stdin, lambda text: print(text, flush=True)))
