"""What can be wrong with the labels of faces: rows at fault are left out and told, with file and row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import ImageError
from gaze.faces.index import INDEX, SPLITS, UNLABELLED, Faces, numbers, people, place, with_numbers, words
from gaze.geometry import angular_error, pitch_yaw_to_vector

CLOSE = 1e-3  # how far a length may be from 1 without a word
LOOSE = 0.1  # and how far to be made 1 and counted; beyond, it is no direction
SHOWN = 5
ROUNDED = 1.001  # of pi, by how much angles may be beyond it
RADIANS = "radians, pitch within pi/2 and yaw within pi"
UNDEGREED = "convert degrees to radians, or correct the order of angles"


def check_labels(table: pa.Table) -> tuple[pa.Table, list[Fault], int]:
    """The rows that can be used, with gaze of unit length; faults of the others; and how many were made of unit length.

    Rows that are published without labels stay as they are.
    """
    gaze = numbers(table, "gaze")
    length = np.linalg.norm(gaze, axis=1)
    wanted = words(table, "split") != UNLABELLED
    unknown = wanted & ~np.isfinite(length)
    off = wanted & ~unknown & (np.abs(length - 1) > LOOSE)
    again = _repeated(table) & ~unknown & ~off
    counted = int((wanted & ~unknown & ~off & (np.abs(length - 1) > CLOSE)).sum())
    do = "correct or remove the row"
    faults = [
        Fault(place(table, i), "gaze is not a number", "three finite numbers", do)
        for i in np.flatnonzero(unknown).tolist()
    ]
    faults += [
        Fault(place(table, i), f"gaze is {length[i]:.4g} long", f"a unit vector, to {LOOSE:g}", do)
        for i in np.flatnonzero(off).tolist()
    ]
    faults += [
        Fault(place(table, i), f"{table['path'][i].as_py()} has a row before", "one row per picture", do)
        for i in np.flatnonzero(again).tolist()
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        table = with_numbers(table, "gaze", gaze / length[:, None])
    return table.filter(pa.array(~(unknown | off | again))), faults, counted


def angles_beyond(pitch_yaw: Float[np.ndarray, "n 2"]) -> dict[int, str]:
    """Which rows have angles of gaze that can't be radians, and what they are; NaN may be."""
    pitch, yaw = np.abs(pitch_yaw).T
    beyond = (pitch > ROUNDED * math.pi / 2) | (yaw > ROUNDED * math.pi)
    return {
        row: f"gaze is pitch {pitch_yaw[row, 0]:.4g}, yaw {pitch_yaw[row, 1]:.4g}"
        for row in np.flatnonzero(beyond).tolist()
    }


def check_angles(table: pa.Table, pitch_yaw: Float[np.ndarray, "n 2"]) -> tuple[pa.Table, list[Fault]]:
    """The rows whose angles of gaze can be radians, and faults of the others."""
    beyond = angles_beyond(pitch_yaw)
    faults = [Fault(place(table, row), told, RADIANS, UNDEGREED) for row, told in beyond.items()]
    return table.filter(pa.array([row not in beyond for row in range(len(table))], pa.bool_())), faults


def check_pictures(table: pa.Table, faces: Mapping[str, Faces], decode: bool) -> tuple[pa.Table, list[Fault]]:
    """The rows whose picture is there, and faults of the others.

    Args:
        faces: who reads the pictures of each data set.
        decode: look at every pixel.
    """

    dataset, path = words(table, "dataset"), words(table, "path")

    def problem(row: int) -> str | None:
        try:
            faces[dataset[row]].picture(path[row])
        except ImageError as error:
            return str(error)
        return None

    if decode:
        # HDF5 lets one thread in at a time, and is no slower for it; files are decoded by several
        with ThreadPoolExecutor(max_workers=4) as pool:
            found = list(pool.map(problem, range(len(table))))
    else:
        wrong = {name: source.missing(path[dataset == name].tolist()) for name, source in faces.items()}
        found = [wrong[name].get(below) for name, below in zip(dataset, path, strict=True)]
    do = "restore it, or remove the row"
    faults = [Fault(place(table, i), told, "a readable picture", do) for i, told in enumerate(found) if told]
    return table.filter(pa.array([told is None for told in found], pa.bool_())), faults


def shared_people(table: pa.Table, part: np.ndarray) -> dict[str, list[int]]:
    """For each person who is in several of train, val and test, the first row of each."""
    rows = np.flatnonzero(np.isin(part, SPLITS))
    names = people(table)[rows]
    order = np.argsort(names, kind="stable")
    found: dict[str, dict[str, int]] = {}
    starts = np.flatnonzero(np.r_[True, names[order][1:] != names[order][:-1]]) if len(order) else np.empty(0, np.int64)
    for start, end in pairwise([*starts.tolist(), len(order)]):
        own = rows[order[start:end]]
        parts, first = np.unique(part[own].astype(str), return_index=True)
        if len(parts) > 1:
            found[str(names[order[start]])] = dict(zip(parts.tolist(), own[first].tolist(), strict=True))
    return {name: list(parts.values()) for name, parts in found.items()}


def refuse_shared(title: str, table: pa.Table, part: np.ndarray) -> None:
    """Refuse people who are in several splits.

    Raises:
        DatasetError: names them, with a row of each split.
    """
    shared = shared_people(table, part)
    if shared:
        told = "; ".join(
            f"{name} is in " + " and ".join(f"{part[row]} ({place(table, row)})" for row in rows)
            for name, rows in list(shared.items())[:SHOWN]
        )
        raise DatasetError(
            f"{title}: {len(shared)} subject(s) in several splits: {told}; expected each person in one, or figures are of "
            "people that were trained on; correct the labels' splits, or make splits with hold_out"
        )


def disagreement_rad(table: pa.Table) -> Float[np.ndarray, "n"]:
    """By how much the two labels of each row differ; NaN where there is one."""
    import torch

    gaze, angles = torch.from_numpy(numbers(table, "gaze")), torch.from_numpy(numbers(table, "angles"))
    return angular_error(gaze, pitch_yaw_to_vector(angles)).numpy()


def check_columns(name: str, table: pa.Table) -> None:
    """Refuse what a reader must not give.

    Raises:
        DatasetError: columns are missing, or there is no row.
    """
    missing = [column for column in INDEX.names if column not in table.column_names]
    if missing or not len(table):
        what = f"lacks the columns {', '.join(missing)}" if missing else "has no row"
        raise DatasetError(f"the table of {name} {what}; expected one row per picture; is root the data set's folder?")


def _repeated(table: pa.Table) -> np.ndarray:
    """Which rows are of a picture that has a row before."""
    seen: set[tuple[str, str]] = set()
    again = np.zeros(len(table), dtype=bool)
    for row, key in enumerate(zip(words(table, "dataset"), words(table, "path"), strict=True)):
        again[row] = key in seen
        seen.add(key)
    return again
