"""Clips: frames of the same person and recording, and the nearest in place of those that are missing."""

from __future__ import annotations

import numpy as np

from gaze.faces.index import index_table
from gaze.faces.windows import windows

#         0  1  2  3  4 (another person) 5 (val) 6 (unused)
FRAMES = [3, 4, 6, 9, 5, 7, 8]
PEOPLE = ["a", "a", "a", "a", "b", "a", "a"]
PART = np.array(["train", "train", "train", "train", "train", "val", "unused"], dtype=object)
TABLE = index_table(7, dataset="d", subject=PEOPLE, session="r", frame=FRAMES)


def test_missing_frames_are_the_nearest_and_masked():
    rows, present = windows(TABLE, PART, np.array([2]), 7)  # frames 3 to 9 around 6
    assert present.tolist() == [[True, True, False, True, False, True, True]]
    assert rows.tolist() == [[0, 1, 1, 2, 2, 6, 3]]  # 5 is of somebody else, 7 of another split


def test_other_splits_are_context_only_when_allowed():
    rows, present = windows(TABLE, PART, np.array([2]), 3, across=True)
    assert rows.tolist() == [[2, 2, 5]]
    assert present.tolist() == [[False, True, True]]


def test_steps_and_borders_and_unknown_numbers():
    rows, present = windows(TABLE, PART, np.array([0, 3]), 3, step=3)
    assert rows.tolist() == [[0, 0, 2], [2, 3, 3]]
    assert present.tolist() == [[False, True, True], [True, True, False]]
    unknown = index_table(2, dataset="d", subject="a")
    rows, present = windows(unknown, np.array(["train", "train"], dtype=object), np.array([1]), 3)
    assert rows.tolist() == [[1, 1, 1]]
    assert present.tolist() == [[False, True, False]]
