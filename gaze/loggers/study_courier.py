"""The process that carries what a search found to MLflow when it ends: `python -m gaze.loggers.study_courier`.

It reads one line of JSON (`StudyOrders`) from its standard input. Each line that it writes is a warning for the log.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

from gaze.loggers.ledger import LOCK, Ledger
from gaze.loggers.masking import masked
from gaze.loggers.study import StudyDelivery, settings_of
from gaze.sweeps.review import FOLDER

ATTEMPTS = 3  # a second and two apart: trials of other sweeps may be writing to the same database


class StudyOrders(NamedTuple):
    """What the logger asks for."""

    folder: str  # of the sweep
    uri: str  # with credentials, unlike the one in the settings
    settings: dict[str, Any]  # for the ledger


def main(source: IO[str]) -> int:
    """0 when everything was sent."""
    from filelock import FileLock, Timeout

    orders = StudyOrders(**json.loads(source.readline()))
    place = Path(orders.folder) / FOLDER
    try:
        with FileLock(place / LOCK, timeout=5.0):
            ledger = Ledger(place)
            ledger.settings = orders.settings | {
                key: value for key, value in settings_of(Path(orders.folder)).items() if key in ("experiment", "parent")
            }
            ledger.save()
            for attempt in range(ATTEMPTS):
                try:
                    StudyDelivery(Path(orders.folder), ledger, orders.uri).send()
                    return 0
                except Exception:  # whatever MLflow, the disk or the network say
                    if attempt + 1 == ATTEMPTS:
                        raise
                    time.sleep(attempt + 1.0)
    except Timeout:
        print("another process is sending this study", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {' '.join(masked(str(error)).split())[:300]}", flush=True)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.stdin))
