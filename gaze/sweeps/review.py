"""Writes down what a search found: study.json, study.csv and pictures in `study` of its directory, and sends them."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gaze.loggers.description import document
from gaze.sweeps.facts import facts, objectives, rows
from gaze.sweeps.importance import importance
from gaze.sweeps.studies import FILE as DATABASE
from gaze.sweeps.studies import open_study

if TYPE_CHECKING:
    import optuna
    from omegaconf import DictConfig

FOLDER, FACTS, ROWS = "study", "study.json", "study.csv"
SEARCH = ("sampler", "pruner")

log = logging.getLogger(__name__)


def review(study: optuna.Study, folder: Path, config: DictConfig | None) -> None:
    """Write what the study holds so far to `folder`/study, then hand it to the logger of the config.

    It may be called at any time and again: what was written before is replaced.

    Args:
        study: with any number of trials, in any state.
        folder: the directory of the sweep, in which the trials' directories have their numbers for names.
        config: that the sweep was started with; None: of a study that was opened to be read, so nothing is sent,
            and what only the sweep knows stays as it was written before.

    Raises:
        OSError: a file cannot be written.
    """
    from gaze.sweeps.pictures import pictures

    out = Path(folder) / FOLDER
    out.mkdir(parents=True, exist_ok=True)
    before = read(Path(folder)) or {}
    named = objectives(study, _of_a_trial(Path(folder)) if config is None else config)
    found = facts(study, Path(folder), named)
    found |= {key: before.get(key) for key in SEARCH} if config is None else _search(study)
    ranked = importance(study, named)
    found["importance"] = [entry._asdict() for entry in ranked]
    _replace(out / FACTS, json.dumps(_strict(found), indent=1, ensure_ascii=False).encode())
    _replace(out / ROWS, _lines(rows(study, Path(folder), named)).encode())
    try:
        drawn = pictures(study, named, ranked)
        for name, data in drawn.items():
            _replace(out / f"{name}.png", data)
    finally:
        _send(Path(folder), config)
    log.info("reviewed %d trials: %s", len(study.get_trials(deepcopy=False)), out)


def find_sweeps(path: Path) -> list[Path]:
    """The directories of sweeps at or below a path that were reviewed, or can be: their study lies in them."""
    places = [file.parent.parent for file in path.rglob(f"{FOLDER}/{FACTS}")] + [f.parent for f in path.rglob(DATABASE)]
    # MLflow keeps what it was sent of a sweep in a folder of this name.
    return sorted({place for place in places if place.name != "artifacts" or place == path})


def refresh(folder: Path) -> None:
    """Review a sweep anew if its study lies in its directory and is newer than the review: the sweep may have been killed.

    A database that cannot be read leaves all as it is, with a warning.
    """
    database, written = Path(folder) / DATABASE, Path(folder) / FOLDER / FACTS
    if not database.is_file() or (written.exists() and written.stat().st_mtime >= database.stat().st_mtime):
        return
    import optuna

    storage = f"sqlite:///{database.absolute()}"
    try:
        (name,) = optuna.get_all_study_names(storage)
        study = open_study(storage, name)
    except Exception as error:  # Optuna's, SQLAlchemy's or SQLite's
        log.warning("%s cannot be read, so what was written before is shown: %s", database, error)
        return
    review(study, Path(folder), None)


def read(folder: Path) -> dict[str, Any] | None:
    """The content of a sweep's study.json; None when there is none, or not one of ours."""
    try:
        found = json.loads((Path(folder) / FOLDER / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"study", "objectives", "trials", "best"} <= found.keys() else None


def table(folder: Path) -> list[dict[str, str]]:
    """The rows of a sweep's study.csv, those with a number; none without a review."""
    try:
        with (Path(folder) / FOLDER / ROWS).open(encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if str(row.get("number")).isdecimal()]
    except (OSError, ValueError, csv.Error):
        return []


def _of_a_trial(folder: Path) -> Mapping[Any, Any]:
    """The config of the first trial that wrote one; {} if none did."""
    for file in sorted(folder.glob("*/config.yaml")):
        try:
            if isinstance(config := document(file), dict):
                return config
        except (OSError, ValueError):
            continue
    return {}


def _search(study: optuna.Study) -> dict[str, str]:
    """Names of what proposes trials and of what ends them early."""
    return {key: type(getattr(study, key)).__name__ for key in SEARCH}


def _send(folder: Path, config: DictConfig | None) -> None:
    if config is None or config.get("logger") is None:
        return
    from hydra.utils import instantiate

    from gaze.trusted import TRUSTED

    # Not by `gaze.runs.build`: it brings torch, for which the process of a sweep may have no other use.
    logger = instantiate(config.logger, _convert_="object", _execution_whitelist_=list(TRUSTED))
    logger.review(folder)


def _lines(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else ["number", "state"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _strict(node: Any) -> Any:
    """The node with what JSON has no number for as text, as in the journal."""
    if isinstance(node, Mapping):
        return {str(key): _strict(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_strict(value) for value in node]
    if isinstance(node, float) and not math.isfinite(node):
        return "NaN" if math.isnan(node) else "Infinity" if node > 0 else "-Infinity"
    return node if node is None or isinstance(node, (str, int, float, bool)) else str(node)


def _replace(file: Path, data: bytes) -> None:
    """Write a file whole, or not at all."""
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_bytes(data)
    os.replace(aside, file)
