"""Runs as they lie in directories, also failed and damaged ones: what a page says of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaze.errors import UserError
from gaze.journal import NAME as JOURNAL
from gaze.journal import Entry, Journal, best, monitored
from gaze.loggers.description import document, parameters
from gaze.loggers.ledger import NAME as LEDGER

SAME = ("dir", "logger.", "callback.progress", "hardware.", "trial.")  # where, how loudly and which, not what
ENDED = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
TRIALS = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "unfinished"}
GOOD = ("finished", "pruned", "")  # states that need no second look


@dataclass(frozen=True)
class RunSummary:
    """What the page says of one run."""

    path: Path
    name: str  # its place below the folder that was asked for
    entries: list[Entry]
    parameters: dict[str, str]
    key: str  # the figure that decides
    mode: str
    best: Entry | None
    state: str  # finished, failed, killed, pruned or unfinished

    @property
    def steps(self) -> int:
        return max((entry.step for entry in self.entries), default=0)

    @property
    def minutes(self) -> float:
        """From the first line of the journal to the last."""
        return (self.entries[-1].time - self.entries[0].time) / 60 if self.entries else 0.0


@dataclass(frozen=True)
class Damaged:
    """A run directory that cannot be read."""

    name: str
    reason: str


def find_runs(path: Path) -> list[Path]:
    """The run directories at or below a path, by name.

    Raises:
        UserError: there is none.
        ValueError: a config is not YAML.
    """
    runs = [run for run in candidates(path) if "model" in (document(run / "config.yaml") or {})]
    return _some(runs, path)


def candidates(path: Path) -> list[Path]:
    """The directories at or below a path that look like runs, by name; their configs are not read.

    Raises:
        UserError: the path is not a directory.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a directory; give a run directory, or a folder of them such as outputs")
    # Copies of run directories, such as those that MLflow keeps, have no journal.
    return sorted(
        file.parent for file in path.rglob("config.yaml") if file.parent == path or (file.parent / JOURNAL).exists()
    )


def summaries(path: Path, trials: dict[Path, str]) -> tuple[list[RunSummary], list[Damaged]]:
    """All runs at or below a path, best first, and those that cannot be read.

    Args:
        trials: how runs of searches ended, as their studies say it.

    Raises:
        UserError: there are none.
    """
    found, damaged = list[RunSummary](), list[Damaged]()
    places = candidates(path)
    root = path.parent if places == [path] else path
    for run in places:
        name = run.relative_to(root).as_posix() if run != root else run.absolute().name
        try:
            config = document(run / "config.yaml")
            if not isinstance(config, dict):
                raise ValueError("config.yaml holds no config")
            if "model" in config:
                found.append(summary(run, name, config, trials.get(run)))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            damaged.append(Damaged(name, " ".join(str(error).split())[:300]))
    if not damaged:
        _some([run.path for run in found], path)
    return ordered(found), damaged


def summary(run: Path, name: str, config: dict[str, Any], trial: str | None = None) -> RunSummary:
    """What can be said of one run."""
    entries = Journal(run).read()
    key, mode = monitored(config)
    state = TRIALS.get(trial or "") or _state(run, config, entries, key)
    return RunSummary(run, name, entries, parameters(config), key, mode, best(entries, key, mode), state)


def differing(summaries: Sequence[RunSummary]) -> list[str]:
    """The config keys that are not the same in all runs, in the order of the config."""
    keys = list(dict.fromkeys(key for summary in summaries for key in summary.parameters if not key.startswith(SAME)))
    return [key for key in keys if len({summary.parameters.get(key) for summary in summaries}) > 1]


def ordered(summaries: list[RunSummary]) -> list[RunSummary]:
    """Best first, grouped by what they are judged by; runs without a figure last."""

    def rank(summary: RunSummary) -> tuple[bool, str, float]:
        value = summary.best.values[summary.key] if summary.best else 0.0
        return summary.best is None, summary.key, -value if summary.mode == "maximize" else value

    return sorted(summaries, key=rank)


def _some(runs: list[Path], path: Path) -> list[Path]:
    if not runs:
        raise UserError(
            f"{path} holds no run: there is no config.yaml of a training run in or below it; train one first"
        )
    return runs


def _state(run: Path, config: dict[str, Any], entries: Sequence[Entry], key: str) -> str:
    """How the run ended: what its logger noted, or whether it was validated after every epoch; "" if neither says it."""
    try:
        noted = json.loads((run / LEDGER).read_text(encoding="utf-8"))["status"]
        if noted in ENDED:
            return ENDED[noted]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    epochs = (config.get("trainer") or {}).get("epochs")
    if not isinstance(epochs, int):
        return ""
    return "finished" if sum(key in entry.values for entry in entries) >= epochs else "unfinished"
