"""What may change when an interrupted run goes on, and the note that it did."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gaze.durable import write_text

logger = logging.getLogger(__name__)

NAME = "resumed.json"
# May differ when a run goes on: they say where, on what and how loudly, not what is computed.
SILENT = ("dir", "resume", "hardware.workers", "logger", "callback.log", "callback.progress")
FREE_TO_CHANGE = (*SILENT, "hardware")
# What the last digits of a result depend on, in environment.json.
NUMERICS = (
    "git",
    "python",
    "packages.torch",
    "packages.torchvision",
    "packages.timm",
    "threads",
    "replicas",
    "cuda",
    "devices",
)

Change = tuple[str, Any, Any]  # a dotted key, its value before, and now


def note(run: Path, step: int, config: Sequence[Change], now: Mapping[str, Any]) -> None:
    """Add to a run's resumed.json what differs from its config before and from its first environment.

    Args:
        step: that it goes on from.
        config: changes of it, allowed already.
        now: the environment, see `gaze.environment`.
    """
    first, file = read(run / "environment.json"), run / NAME
    around = [change for change in differences(first, now) if first and covered(change[0], NUMERICS)]
    loud = [*(change for change in config if not covered(change[0], SILENT)), *around]
    if loud:
        logger.warning("%s goes on with %s; noted in %s", run, told(loud), NAME)
    noted = {kind: {key: pair for key, *pair in found} for kind, found in (("config", config), ("environment", around))}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    notes = [*(read(file) or []), {"time": moment, "step": step, **noted}]
    write_text(file, json.dumps(notes, indent=2))


def differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys at which two plain configs differ, with both values (None where there is none)."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(k for k in now if k not in before)]:
            yield from differences(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif before != now:
        yield path, before, now


def covered(key: str, patterns: Sequence[str]) -> bool:
    """Is a dotted key one of these, or below one?"""
    return any(key == p or key.startswith(f"{p}.") for p in patterns)


def told(changes: Sequence[Change]) -> str:
    """Changes as a person reads them."""
    return "; ".join(f"{key}: {before!r} -> {now!r}" for key, before, now in changes)


def read(file: Path) -> Any:
    """What a file of ours holds; None if there is none, or none that can be read."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return None
