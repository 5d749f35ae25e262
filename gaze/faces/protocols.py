"""Who trains, who is validated on and who is tested: by person, as published or with somebody held out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from gaze.datasets.faults import DatasetError
from gaze.datasets.splits import draw
from gaze.faces.checks import refuse_shared
from gaze.faces.index import SPLITS, UNLABELLED, UNUSED, by_number, people, words
from gaze.faces.shots import shots

log = logging.getLogger(__name__)

Held = str | Mapping[str, Any] | None
Clusters = Mapping[str, Sequence[Sequence[str]]]  # of each data set the subjects of its published folds

STANDARD_FOLDS = 4  # of a data set without published ones: EyeDiap's protocol
SEEN = 0.1  # share of the people of training that validation looks at where everybody trains


@dataclass(frozen=True)
class HoldOut:
    """What is tested, and not trained on.

    Args:
        subject: a person, by name; with several data sets as dataset/name.
        subjects: several.
        fold: a published fold of subjects, from 0; of a data set without, one of four that subjects are dealt to.
        dataset: all of a data set, or of several, and others train.
        train: with `dataset`, those that train; null: all others.
        person: one person is both trained and tested on, with different samples: a name, or the number in the order of the
            people who are otherwise validated on.
        shots: with `person`, samples to train on; with `dataset`, labelled samples of it that are trained on, too.
    """

    subject: str | None = None
    subjects: Sequence[str] | None = None
    fold: int | None = None
    dataset: str | Sequence[str] | None = None
    train: str | Sequence[str] | None = None
    person: str | int | None = None
    shots: int | None = None


def hold_out(told: Held) -> HoldOut:
    """What a config says is held out; a mere name is a subject's.

    Raises:
        ValueError: it says something else, or several things.
    """
    given = {"subject": told} if isinstance(told, str) else {k: v for k, v in (told or {}).items() if v is not None}
    known = [f.name for f in fields(HoldOut)]
    heads = [name for name in ("subject", "subjects", "fold", "dataset", "person") if name in given]
    partners = {"train": ("dataset",), "shots": ("dataset", "person")}
    alone = [name for name, of in partners.items() if name in given and not set(of) & set(given)]
    if set(given) - set(known) or len(heads) > 1 or alone or ("person" in given and "shots" not in given):
        raise ValueError(
            f"hold_out is {told}; expected a subject's name, or one of subject, subjects, fold, dataset (with train, shots) "
            "and person (with shots)"
        )
    return HoldOut(**given)


def parts_of(
    table: pa.Table,
    held: HoldOut,
    val_subjects: int | Sequence[str] | None,
    test_subjects: int,
    clusters: Clusters,
) -> np.ndarray:
    """The split of each row: train, val, test, unused or unlabelled. Nobody is in two, but with `person` and `shots`.

    As the data set says, where it does; otherwise everybody trains who is not held out. Where a data set has no validation
    split, its last subjects in the order of their numbers are validated on.

    Args:
        table: of one or several data sets.
        held: see `HoldOut`.
        val_subjects: how many, or who; null: everybody trains, for protocols whose number of epochs is fixed beforehand.
        test_subjects: how many before them are tested on, of data sets without a test split when nothing is held out.
        clusters: the subjects of published folds by data set.

    Raises:
        DatasetError: somebody is in two splits, or there is nobody to hold out.
    """
    dataset, person = words(table, "dataset"), people(table)
    part = words(table, "split")
    usable = ~np.isin(part, (UNUSED, UNLABELLED))
    refuse_shared("the data set", table, part)
    names = by_number(dataset.tolist())
    if held.person is not None:
        return _person(table, part, person, held, val_subjects)
    if held.dataset is not None:
        part = _whole(table, dataset, part, usable, held, names)
    else:
        tested = _subjects(held, person[usable], names, clusters)
        if tested is not None:
            test = usable & np.isin(person, tested)
            # Others that would be tested on have been published as such, and are not trained on
            part = np.where(test, "test", np.where(part == "test", UNUSED, part))
        elif test_subjects:
            for name in names:
                rows = usable & (dataset == name)
                if not (part[rows] == "test").any():
                    last = _last(name, person[rows & np.isin(part, ("", "train"))], test_subjects, "test_subjects")
                    part = np.where(rows & np.isin(person, last), "test", part)
    part = np.where(part == "", "train", part).astype(object)
    if val_subjects is not None and not isinstance(val_subjects, int):
        val_subjects = _known(val_subjects, by_number(person.tolist()), "val_subjects")
    for name in names:
        if name in _list(held.dataset):  # its shots, which are all trained on
            continue
        rows = dataset == name
        if (part[rows] == "train").any() and not (part[rows] == "val").any():
            validated = _validated(name, person[rows & (part == "train")], val_subjects)
            part = np.where(rows & (part == "train") & np.isin(person, validated), "val", part).astype(object)
    if held.shots is None:
        refuse_shared("the protocol", table, part)
    return part


def rows_of(part: np.ndarray, person: np.ndarray, split: str) -> np.ndarray:
    """Which rows a split has. Where everybody trains, validation looks at a tenth of them by a hash of their names."""
    rows = part == split
    if split == "val" and not rows.any():
        training = sorted(set(person[part == "train"].tolist()), key=draw)
        looked_at = training[: max(1, round(SEEN * len(training)))]
        rows = (part == "train") & np.isin(person, looked_at)
        if len(looked_at):
            _warn_seen(", ".join(looked_at[:3]))
    return rows


@cache
def _warn_seen(names: str) -> None:
    """Once, although training and evaluation open the split several times."""
    log.warning("validation is on %s, who are trained on: figures flatter", names)


def folds(subjects: Sequence[str], clusters: Sequence[Sequence[str]], count: int | None = None) -> list[list[str]]:
    """The subjects of each fold: as published, else everybody alone, or dealt in turn to `count` folds.

    Raises:
        DatasetError: somebody is in two folds or in none, or one has nobody.
    """
    ordered = by_number(subjects)
    if clusters:
        found = [[name for name in ordered if name in set(cluster)] for cluster in clusters]
    elif count is None:
        found = [[name] for name in ordered]
    else:
        found = [ordered[start::count] for start in range(count)]
        log.warning(
            "no published folds: %d subjects are dealt to %d in turn; call figures nonstandard", len(ordered), count
        )
    several = sorted({name for fold in found for name in fold if sum(name in other for other in found) > 1})
    empty = [number for number, fold in enumerate(found) if not fold]
    left = [name for name in ordered if not any(name in fold for fold in found)]
    if several or empty or left:
        what = (
            f"{', '.join(several[:5])} in several"
            if several
            else f"nobody in {', '.join(map(str, empty))}"
            if empty
            else f"{', '.join(left[:5])} in none"
        )
        raise DatasetError(f"{len(found)} folds of {len(ordered)} subjects have {what}; expected everybody in one fold")
    return found


def _whole(
    table: pa.Table, dataset: np.ndarray, part: np.ndarray, usable: np.ndarray, held: HoldOut, names: Sequence[str]
) -> np.ndarray:
    target, train = _list(held.dataset), _list(held.train)
    train = train or [name for name in names if name not in target]
    unknown = [name for name in (*target, *train) if name not in names]
    if unknown or set(target) & set(train) or not train:
        raise DatasetError(
            f"hold_out: {', '.join(target)} with {', '.join(train) or 'nothing'} to train on; expected different ones of "
            f"{', '.join(names)}; choose a data set with several sources, such as dataset=faces_joint"
        )
    tested = np.zeros_like(usable)
    for name in target:
        all_of = usable & (dataset == name)
        published = all_of & (part == "test")
        tested |= published if published.any() else all_of
    others = np.isin(dataset, train) & np.isin(part, ("", "train", "val"))
    result = np.where(tested, "test", np.where(others, part, UNUSED)).astype(object)
    for name in target if held.shots else ():
        rows = shots(table, np.flatnonzero(tested & (dataset == name)), held.shots or 0)
        result[rows] = "train"
        log.warning("%d labelled samples of %s are trained on, and tested on are the others", len(rows), name)
    return result


def _list(told: str | Sequence[str] | None) -> list[str]:
    return [told] if isinstance(told, str) else list(told or ())


def _person(
    table: pa.Table, part: np.ndarray, person: np.ndarray, held: HoldOut, val_subjects: int | Sequence[str] | None
) -> np.ndarray:
    labelled = part != UNLABELLED
    everybody = by_number(person[labelled].tolist())
    assert held.shots is not None
    if isinstance(held.person, int):
        last = everybody[-val_subjects:] if isinstance(val_subjects, int) and val_subjects else everybody
        if not 0 <= held.person < len(last):
            raise DatasetError(
                f"hold_out.person is {held.person}; expected 0 to {len(last) - 1}, a number of those held out"
            )
        name = last[held.person]
    else:
        name = _known([str(held.person)], everybody)[0]
    own = np.flatnonzero(labelled & (person == name))
    if len(own) <= held.shots:
        raise DatasetError(f"{name} has {len(own)} labelled samples; expected more than hold_out.shots={held.shots}")
    result = np.full(len(part), UNUSED, dtype=object)
    result[own] = "test"
    result[shots(table, own, held.shots)] = "train"
    return result


def _subjects(held: HoldOut, person: np.ndarray, names: Sequence[str], clusters: Clusters) -> list[str] | None:
    everybody = by_number(person.tolist())
    if held.fold is not None:
        if len(names) != 1:
            raise DatasetError(f"hold_out.fold of {', '.join(names)}; expected one data set; hold out subjects instead")
        published = [[f"{names[0]}/{name}" for name in cluster] for cluster in clusters.get(names[0], ())]
        every = folds(everybody, published, None if published else STANDARD_FOLDS)
        if not 0 <= held.fold < len(every):
            raise DatasetError(f"hold_out.fold is {held.fold}; expected 0 to {len(every) - 1}")
        return every[held.fold]
    wanted = [held.subject] if held.subject is not None else held.subjects
    if wanted is None:
        return None
    if not wanted:
        raise DatasetError("hold_out.subjects is empty; expected at least one name: a fold tests somebody")
    return _known(wanted, everybody)


def _known(wanted: Sequence[str], everybody: Sequence[str], key: str = "hold_out") -> list[str]:
    """Full names of subjects that may be given without their data set."""
    found = []
    for name in wanted:
        full = [e for e in everybody if e == name] or [e for e in everybody if e.split("/", 1)[1] == name]
        if len(full) != 1:
            shown = ", ".join(everybody[:20]) + (", ..." if len(everybody) > 20 else "")
            what = f"is in {' and '.join(full)}" if full else "is nobody"
            raise DatasetError(f"{key}: {name!r} {what}; expected one of {shown}")
        found += full
    return found


def _validated(name: str, training: np.ndarray, val_subjects: int | Sequence[str] | None) -> list[str]:
    if val_subjects is None:
        return []
    if isinstance(val_subjects, int):
        return _last(name, training, val_subjects, "val_subjects") if val_subjects else []
    here = by_number(training.tolist())
    return [full for full in here if full in val_subjects]


def _last(name: str, person: np.ndarray, count: int, key: str) -> list[str]:
    everybody = by_number(person.tolist())
    if count >= len(everybody):
        raise DatasetError(f"{key} is {count}, and {name} has {len(everybody)} subjects to train on; expected fewer")
    return everybody[-count:]


def check_split(split: str) -> None:
    """Refuse a split that no data set has."""
    if split not in (*SPLITS, UNLABELLED):
        raise DatasetError(f"split {split!r}: expected {', '.join(SPLITS)} or {UNLABELLED}")
