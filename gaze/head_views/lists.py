"""Writes what a folder of head views has beside its files: splits, pairs, and a record of how it was made."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gaze.datasets.faults import DatasetError
from gaze.errors import UserError
from gaze.head_views.layout import SPLIT_FILE
from gaze.head_views.pairs import FOLDER, drawn, targets_of, write_targets

RECORD = "preparation.json"


def read_record(folder: Path) -> dict[str, Any]:
    """What `write_record` wrote, or nothing.

    Raises:
        UserError: it is damaged.
    """
    path = folder / RECORD
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} can't be read ({error}); expected what preparing wrote; remove it to begin anew"
        ) from error


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Note how the folder was made."""
    _write(folder / RECORD, json.dumps(record, indent=1) + "\n")


def write_lists(folder: Path, lists: Mapping[str, Sequence[str]], ours: Any, overwrite: bool) -> None:
    """Write the files of each split.

    Args:
        ours: the lists that were written here before, which may be replaced.
        overwrite: replace others, too.

    Raises:
        UserError: there is a list that was not written here.
    """
    path = folder / SPLIT_FILE
    if path.exists() and not overwrite:
        try:
            there = json.loads(path.read_text())
        except ValueError:
            there = None
        if there not in (ours, lists):
            raise UserError(
                f"{path} was not written here, or was changed since; expected to write lists of splits; keep it by preparing "
                "into another folder, or replace it with overwrite=true"
            )
    _write(path, json.dumps(lists, indent=1) + "\n")


def write_pairs(folder: Path, views: int, pairs: str | None, seed: int, overwrite: bool) -> None:
    """Write the targets of the test split; a list that is there and fits stays, unless another is given.

    Args:
        views: of each person.
        pairs: a published list; None: one is drawn from `seed`.
        overwrite: replace another list.

    Raises:
        UserError: a list does not fit, or another is there.
    """
    path = folder / FOLDER / "test.txt"
    try:
        given = None if pairs is None else targets_of(folder, "test", views, Path(pairs))
        there = targets_of(folder, "test", views) if path.exists() and not overwrite else None
    except DatasetError as error:
        raise UserError(str(error)) from error
    if given is not None and there not in (None, given):
        raise UserError(f"{path} is another list than {pairs}; expected one list; replace it with overwrite=true")
    write_targets(path, given or there or drawn(views, seed))


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text)
    os.replace(aside, path)
