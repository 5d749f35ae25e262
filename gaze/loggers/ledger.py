"""What was sent where: mlflow.json in a run directory."""

from __future__ import annotations

import json
import os
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gaze.journal import Entry, Journal

NAME = "mlflow.json"
LOCK = "mlflow.lock"  # held by the process that sends
TAIL = 256  # bytes before the cursor that must be the same when it is used again


@dataclass
class Cursor:
    """How far one store got. It is saved after each success, so a repeated call repeats at most one batch.

    Stores drop a point that they hold already (same name, step, time and value), so that batch does no harm.
    """

    key: str = field(default_factory=lambda: uuid.uuid4().hex)  # finds the run again if its id got lost on the way
    run_id: str | None = None
    position: int = 0  # bytes of the journal that were sent
    tail: int = 0  # checksum of the bytes before the position: another one means that the journal was rewound
    steps: dict[str, int] = field(default_factory=dict)  # last step sent, by metric
    replayed: dict[str, int] = field(
        default_factory=dict
    )  # the same when the journal was rewound: no need to send it again
    files: dict[str, list[int]] = field(default_factory=dict)  # size and modification time (ns) of what was sent

    def locate(self, journal: Journal) -> None:
        """Start from the beginning, past what was sent, if the journal was rewound since."""
        if self.position and self.tail != _tail(journal.path, self.position):
            self.position, self.replayed = 0, dict(self.steps)

    def unsent(self, entries: list[Entry]) -> list[tuple[str, float, Entry]]:
        """The points of these entries that the store does not have, as (name, value, entry)."""
        points = [(key, value, entry) for entry in entries for key, value in entry.values.items()]
        return [point for point in points if point[2].step > self.replayed.get(point[0], -1)]

    def advance(self, journal: Journal, position: int, entries: list[Entry]) -> None:
        """Note that everything before `position` was sent."""
        self.steps.update({key: entry.step for entry in entries for key in entry.values})
        self.position, self.tail = position, _tail(journal.path, position)

    def changed(self, name: str, file: Path) -> bool:
        """Whether this file was not sent yet, or was written again since."""
        return self.files.get(name) != stamp(file)

    def sent(self, name: str, stamp: list[int]) -> None:
        """Note that a file was sent, as it was before the sending."""
        self.files[name] = stamp


class Ledger:
    """mlflow.json: how to send this run, how it ended, and a cursor for each store it went to.

    Raises:
        ValueError: the file is not one of ours.
    """

    def __init__(self, directory: Path) -> None:
        self.path = Path(directory) / NAME
        self.settings: dict[str, Any] = {}
        self.status: str | None = None  # None while training runs
        self.ended: float | None = None  # seconds since 1970
        self.cursors: dict[str, Cursor] = {}  # by the store's URI without credentials
        if self.path.exists():
            self._load()

    def cursor(self, uri: str) -> Cursor:
        """The cursor of a store; a new one for a new store."""
        return self.cursors.setdefault(uri, Cursor())

    def save(self) -> None:
        """Write aside, then rename: a reader sees the old file or the new one."""
        record: Mapping[str, Any] = {
            "settings": self.settings,
            "status": self.status,
            "ended": self.ended,
            "stores": {uri: asdict(cursor) for uri, cursor in self.cursors.items()},
        }
        aside = self.path.with_name(f".{NAME}.{os.getpid()}")
        aside.write_text(json.dumps(record, indent=1), encoding="utf-8")
        os.replace(aside, self.path)

    def _load(self) -> None:
        try:
            record = json.loads(self.path.read_text(encoding="utf-8"))
            known = {f.name for f in fields(Cursor)}
            self.settings, self.status, self.ended = record["settings"], record["status"], record["ended"]
            for uri, values in record["stores"].items():
                self.cursors[uri] = Cursor(**{name: value for name, value in values.items() if name in known})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{self.path}: {error!r}; expected what the MLflow logger writes; delete it to send all as a new run"
            ) from error


def stamp(file: Path) -> list[int]:
    """Size in bytes and modification time in ns: what tells one state of a file from another."""
    status = file.stat()
    return [status.st_size, status.st_mtime_ns]


def _tail(path: Path, position: int) -> int:
    """Checksum of the bytes before a position; −1 when the file ends earlier."""
    if not path.exists() or path.stat().st_size < position:
        return -1
    with path.open("rb") as file:
        file.seek(max(0, position - TAIL))
        return zlib.crc32(file.read(min(TAIL, position)))
