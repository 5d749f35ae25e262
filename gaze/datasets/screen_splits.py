"""Which frames a split of recordings has: by person, as the table says or with somebody or some device held out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from gaze.datasets.faults import DatasetError, EmptySplitError
from gaze.datasets.screen_table import shared_subjects
from gaze.datasets.splits import SPLITS, hold_out
from gaze.recordings.columns import texts

log = logging.getLogger(__name__)

HELD = ("subject", "device", "device_kind", "dataset")  # columns that a protocol may leave one value of out
_APART = ("calib", "unused")  # what a table calls so is in no protocol's train, val and test
SEEN = 0.1  # share of the people of training that validation looks at where everybody trains
HoldOut = str | Mapping[str, str | None] | None


def frames_of(
    root: str, table: pa.Table, split: str, held: HoldOut, val_fraction: float | None
) -> tuple[Bool[np.ndarray, "n"], list[str]]:
    """Which rows are in the split, and the names of all who are in training.

    What is held out is the test split; nobody in it is in another, not even with other devices. Who has both what is
    held out and something else is in the test split, unless the table has train and test splits: then those of train
    train, without what is held out. Validation is then
    drawn from the people who are left, as it is where a table has no validation split, by a hash of their names.
    With nothing held out, the column `split` decides.

    Whatever is held out, frames that the table calls unused are in no split, and those that it keeps for calibration
    are in calib and nowhere else, so that nobody is trained on, validated or tested with them.

    Args:
        root: where the table is from, for messages.
        table: with the columns subject, split, and those of `held`.
        split: train, val, test, or calib where the table says so.
        held: a column and its value that is left out; a mere name is a subject's. None: nobody.
        val_fraction: share of the people that are drawn for validation. None: everybody trains, and validation is on a
            tenth of those who do; for protocols whose number of epochs is fixed beforehand (trainer.mode=last).

    Raises:
        DatasetError: a person is in two splits, or there is no such split or value.
    """
    subject, part = texts(table["subject"]), texts(table["split"])
    chosen = _chosen(held)
    if chosen is not None:
        part = _left_out(root, table, subject, part, chosen)
    else:
        _check_disjoint(root, table)
        if split not in (*SPLITS, "calib"):
            raise DatasetError(f"split {split!r} of {root}: expected {', '.join(SPLITS)} or calib")
    if split in ("train", "val") and "val" not in part:
        training = subject[part == "train"].tolist()
        drawn = hold_out(training, SEEN) or set(training) if val_fraction is None else hold_out(training, val_fraction)
        if split == "val" and not drawn:
            raise DatasetError(
                f"{root} has no val split, and none of its {len(set(training))} subject(s) of train can be held out with "
                f"val_fraction={val_fraction:g}; expected a fraction such as 0.1 and at least two subjects"
            )
        if val_fraction is not None or split == "val":
            part = np.where((part == "train") & np.isin(subject, list(drawn)), "val", part)
    rows = part == split
    if not rows.any():
        there = ", ".join(sorted(set(part.tolist()))) or "no frame at all"
        raise EmptySplitError(
            f"split {split!r} of {root} holds no frame; the table has {there}; see hold_out to make splits"
        )
    return rows, sorted(set(subject[part == "train"].tolist()))


def _chosen(held: HoldOut) -> tuple[str, str] | None:
    if held is None or isinstance(held, str):
        return None if held is None else ("subject", held)
    given = [(column, value) for column, value in held.items() if value is not None]
    if len(given) > 1 or not {column for column, _ in given} <= set(HELD):
        raise ValueError(
            f"hold_out is {dict(held)}; expected the name of a subject, or one of {', '.join(HELD)} with its value"
        )
    return (given[0][0], str(given[0][1])) if given else None


def _left_out(root: str, table: pa.Table, subject: np.ndarray, part: np.ndarray, chosen: tuple[str, str]) -> np.ndarray:
    """The split of each frame by who or what is held out; `part` is what the table says, of which little remains."""
    column, value = chosen
    names = texts(table[column])
    test = names == value
    if not test.any():
        there = sorted(set(filter(None, names.tolist())))
        shown = ", ".join(there[:20]) + (", ..." if len(there) > 20 else "")
        raise DatasetError(f"hold_out: {root} has no {column} {value!r}; it has {shown}")
    both = np.isin(subject, subject[test]) & np.isin(subject, subject[~test])
    told = {"train", "test"} <= set(part.tolist())
    trained = both & np.isin(subject, subject[part == "train"]) if told else np.zeros_like(both)
    unused = np.where(test, trained, both & ~trained)
    if unused.any():
        log.info("%d frames of people who have both what is held out and something else are in no split", unused.sum())
    protocol = np.where(unused, "unused", np.where(test, "test", "train"))
    apart = np.isin(part, _APART) & ~unused
    return np.where(apart, part, protocol).astype(object)


def _check_disjoint(root: str, table: pa.Table) -> None:
    shared = shared_subjects(table["subject"], table["split"], SPLITS)
    if shared:
        shown = "; ".join(f"{name} is in {' and '.join(parts)}" for name, parts in list(shared.items())[:5])
        more = f"; ... and {len(shared) - 5} more" if len(shared) > 5 else ""
        raise DatasetError(
            f"{root}: {len(shared)} subject(s) are in several splits: {shown}{more}; expected each person in one, or figures "
            "are of people that were trained on; prepare the table again, or make splits with hold_out"
        )


def conditions(where: Mapping[str, object] | None) -> list[tuple[str, str, object]]:
    """Equalities, and memberships for lists, as conditions for reading a table."""
    return [
        (column, "in" if isinstance(value, Sequence) and not isinstance(value, str) else "==", value)
        for column, value in (where or {}).items()
    ]
