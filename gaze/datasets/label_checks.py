"""What can be wrong with gaze annotations of pictures: each check drops the rows it finds at fault.

A check takes rows and gives back the good ones, with a fault for each of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from gaze.datasets.annotations import Rows
from gaze.datasets.faults import Fault

_TOLERANCE = 1.0e-6  # of a fraction that went through pixels and back
Checked = tuple[Rows, list[Fault]]


def check_labels(rows: Rows, several_annotators: bool, beyond_border: bool = False) -> Checked:
    """Rows whose numbers make sense; needs no image. Boxes with their corners exchanged are repaired.

    Args:
        several_annotators: a gaze of (-1, -1) is an annotator's answer "not in the frame". Otherwise it
            contradicts an inout of 1, and a line that repeats another is a mistake.
        beyond_border: a gaze beyond the border of the picture is a label like any other, and stays there.
    """
    low, high = np.minimum(rows.box[:, :2], rows.box[:, 2:]), np.maximum(rows.box[:, :2], rows.box[:, 2:])
    rows = replace(rows, box=np.concatenate([low, high], axis=1))
    if several_annotators:
        absent = (rows.gaze == -1).all(axis=1)
        rows = replace(rows, inout=np.where(absent, 0.0, rows.inout))
    checks: list[Callable[[Rows], Checked]] = [_known_inout, _box_area]
    checks += [] if beyond_border else [_gaze_range]
    checks += [_same_box] if several_annotators else [_repeated]
    return _all(rows, checks)


def check_inside(rows: Rows) -> Checked:
    """Rows whose head is at least partly inside the image, whose size must be known."""
    extent = np.tile(rows.size[:, ::-1], 2)
    seen = np.clip(rows.box, 0, extent)
    outside = (seen[:, 2:] <= seen[:, :2]).any(axis=1)

    def fault(row: int) -> Fault:
        height, width = rows.size[row]
        found = f"head box {_numbers(rows.box[row])} is outside the image"
        return Fault(rows.where(row), found, f"one that meets {width} x {height} pixels", "correct or remove the row")

    return rows.drop(outside, fault)


def _known_inout(rows: Rows) -> Checked:
    def fault(row: int) -> Fault:
        return Fault(rows.where(row), f"inout is {rows.inout[row]:g}", "1, 0 or -1", "correct or remove the row")

    rows, faults = rows.drop(~np.isin(rows.inout, (1, 0, -1)), fault)
    return rows.keep(rows.inout >= 0), faults  # -1: the annotators could not tell; not a fault, and no use


def _box_area(rows: Rows) -> Checked:
    def fault(row: int) -> Fault:
        found = f"head box {_numbers(rows.box[row])} has no area"
        return Fault(rows.where(row), found, "x_min < x_max and y_min < y_max", "correct or remove the row")

    return rows.drop(np.any(rows.box[:, 2:] <= rows.box[:, :2], axis=1), fault)


def _gaze_range(rows: Rows) -> Checked:
    beyond = (rows.gaze < -_TOLERANCE) | (rows.gaze > 1 + _TOLERANCE)

    def fault(row: int) -> Fault:
        found = f"gaze {_numbers(rows.gaze[row])} is outside the image but marked inside"
        return Fault(rows.where(row), found, "x and y from 0 to 1, or inout 0", "correct or remove the row")

    rows, faults = rows.drop(beyond.any(axis=1) & (rows.inout == 1), fault)
    return replace(rows, gaze=rows.gaze.clip(0, 1)), faults


def _repeated(rows: Rows) -> Checked:
    """The first of the rows that say the same about the same image."""
    _, image = rows.images()
    content = np.column_stack([image, rows.box, rows.gaze, rows.inout])
    first = np.unique(content, axis=0, return_index=True)[1]
    again = np.ones(len(rows), dtype=bool)
    again[first] = False

    def fault(row: int) -> Fault:
        found = f"repeats an earlier row about {rows.path[row].as_py()}"
        return Fault(rows.where(row), found, "each head once", "remove it")

    return rows.drop(again, fault)


def _same_box(rows: Rows) -> Checked:
    """The rows that agree with the first answer about their head on where that head is."""
    _, image = rows.images()
    head = np.column_stack([image, rows.head])
    first, group = np.unique(head, axis=0, return_index=True, return_inverse=True)[1:]
    reference = rows.box[first[group.reshape(-1)]]

    def fault(row: int) -> Fault:
        found = f"head box {_numbers(rows.box[row])} of {rows.path[row].as_py()}"
        expected = f"{_numbers(reference[row])} as in an earlier row with the same eye_x"
        return Fault(rows.where(row), found, expected, "correct or remove the row")

    return rows.drop(rows.box[:, 0] != reference[:, 0], fault)  # x_min, as GazeLLE's preprocessing asserts


def _all(rows: Rows, checks: Sequence[Callable[[Rows], Checked]]) -> Checked:
    faults: list[Fault] = []
    for check in checks:
        rows, more = check(rows)
        faults += more
    return rows, faults


def _numbers(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{v:g}" for v in values) + ")"
