"""The journal of a run: every figure, one JSON line at a time, in the run directory.

It is the source of truth and the spool at once: trackers read it at their own pace, reports read it
without a tracker, and what a tracker could not take stays here.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gaze.durable import flush

NAME = "metrics.jsonl"
KEY = re.compile(r"(train|val|test|system)/\S.*")

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """The figures of one moment."""

    step: int  # optimizer steps taken
    time: float  # seconds since 1970
    values: dict[str, float]  # by name, such as train/loss


class Journal:
    """The figures in `directory`/metrics.jsonl. Several processes may append to one journal.

    A line is strict JSON, `{"step": 10, "time": 1.7e9, "train/loss": 0.5}`; what JSON has no number
    for is written as the string "NaN", "Infinity" or "-Infinity".
    """

    def __init__(self, directory: Path) -> None:
        self.path = Path(directory) / NAME
        self._whole = False  # whether the file is known to end with a whole line

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line and hand it to the operating system, so that it survives the process.

        Raises:
            ValueError: a key without one of the prefixes train/, val/, test/ and system/.
        """
        for key in values:
            if not KEY.fullmatch(key):
                raise ValueError(
                    f"the journal got the key {key!r}; expected train/…, val/…, test/… or system/…; rename it"
                )
        line = _encode(Entry(step, time.time(), dict(values)))
        # One write in append mode is not mixed with that of another process. A line that an earlier
        # process left torn is closed first, so it can't swallow this one.
        data = line if self._whole or self._ends_whole() else b"\n" + line
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self._whole = False
        try:
            if os.write(file, data) != len(data):
                raise OSError(f"{self.path}: the disk took only a part of a line; free some space")
        finally:
            os.close(file)
        self._whole = True

    def read(self) -> list[Entry]:
        """All entries, in the order of writing. A torn line is passed over; none are there without a file."""
        return self.read_from(0)[0]

    def read_from(self, position: int, limit: int | None = None) -> tuple[list[Entry], int]:
        """The entries after a position in bytes, at most `limit`, and the position after the last one.

        A last line without its line feed is left for the next call: somebody is still writing it.
        """
        entries: list[Entry] = []
        try:
            with self.path.open("rb") as file:
                file.seek(position)
                while (limit is None or len(entries) < limit) and (line := file.readline()).endswith(b"\n"):
                    if (entry := self._decode(line, position)) is not None:
                        entries.append(entry)
                    position += len(line)
        except FileNotFoundError:
            pass
        return entries, position

    def size(self) -> int:
        """Bytes written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def flush(self) -> None:
        """Wait until the entries are on the disk, so that a checkpoint never outlives the figures before it."""
        if self.path.exists():
            try:
                flush(self.path)
            except OSError as error:  # a disk that fails is the checkpoint's to report
                log.warning("%s is not safe from a power cut: %s", self.path, error)

    def rewind(self, step: int, size: int | None = None) -> None:
        """Drop what a resumed run will write again: the entries after `step`, those beyond `size` bytes, torn lines."""
        if not self.path.exists():
            return
        lines = self.path.read_bytes()[:size].splitlines(keepends=True)
        entries = [entry for line in lines if line.endswith(b"\n") and (entry := self._decode(line, 0)) is not None]
        kept = b"".join(_encode(entry) for entry in entries if entry.step <= step)
        aside = self.path.with_name(f".{NAME}.{os.getpid()}")
        aside.write_bytes(kept)
        flush(aside)
        os.replace(aside, self.path)
        self._whole = True

    def _ends_whole(self) -> bool:
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) == 0:
                    return True
                file.seek(-1, os.SEEK_END)
                return file.read(1) == b"\n"
        except FileNotFoundError:
            return True

    def _decode(self, line: bytes, position: int) -> Entry | None:
        """The entry of a line, or None for an empty or torn one."""
        if line.isspace():
            return None
        try:
            # float() reads "NaN" and "Infinity"; a strict parser sees strings.
            record = json.loads(line)
            step, moment = int(record.pop("step")), float(record.pop("time"))
            return Entry(step, moment, {key: float(value) for key, value in record.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            log.warning(
                "%s: the line at byte %d is torn and passed over; a process died while it wrote it", self.path, position
            )
            return None


def _encode(entry: Entry) -> bytes:
    values = {key: _number(float(value)) for key, value in entry.values.items()}
    record = {"step": int(entry.step), "time": round(entry.time, 3), **values}
    return json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def monitored(config: Mapping[str, Any]) -> tuple[str, str]:
    """The key that decides which epoch of a run is best, and the mode, from the run's config."""
    trainer = config.get("trainer") or {}
    return f"val/{trainer.get('monitor', 'loss')}", str(trainer.get("mode", "minimize"))


def best(entries: Sequence[Entry], key: str, mode: str) -> Entry | None:
    """The entry with the smallest (mode `minimize`), largest (`maximize`) or newest (`last`) finite value of `key`.

    None without one.
    """
    having = [entry for entry in entries if math.isfinite(entry.values.get(key, math.nan))]
    if mode == "last":
        return having[-1] if having else None
    sign = -1.0 if mode == "maximize" else 1.0
    return min(having, key=lambda entry: sign * entry.values[key], default=None)
