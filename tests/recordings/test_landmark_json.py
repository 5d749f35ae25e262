"""Landmarks of a huge JSON file are found by the path of a picture."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from gaze.errors import UserError
from gaze.recordings.landmark_json import import_landmarks


def mesh(count: int, value: float) -> list[list[float]]:
    return np.full((count, 3), value).tolist()


def test_landmarks_are_found_by_the_end_of_a_path(tmp_path, caplog):
    hole = mesh(478, 0.25)
    hole[7][1] = None
    rows = {
        "00002/frames/0.jpg": mesh(478, 0.5),
        "./00002/frames/1.jpg": mesh(468, 0.75),
        "b\\2.jpg": hole,
        "c/3.jpg": mesh(5, 0),
    }
    (tmp_path / "points.json").write_text(json.dumps(rows))
    with caplog.at_level(logging.WARNING):
        store = import_landmarks(tmp_path / "points.json", tmp_path / "out" / "points.sqlite")
    assert "1 of 4 rows have not 468 or 478 points [x, y, z]; left out (as c/3.jpg)" in caplog.text
    assert "1 of 4 rows have NaN among the points (as b\\2.jpg)" in caplog.text
    assert (store.find(Path("/data/gazecapture/00002/frames/0.jpg")) == 0.5).all()
    short = pickle.loads(pickle.dumps(store)).find(Path("00002/frames/1.jpg"))
    assert (short[:468] == 0.75).all()
    assert np.isnan(short[468:]).all()
    assert np.isnan(store.find(Path("x/b/2.jpg"))[7, 1])
    assert store.find(Path("00003/frames/0.jpg")) is None
    assert store.find(Path("c/3.jpg")) is None


def test_a_file_is_imported_once(tmp_path):
    source, store = tmp_path / "points.json", tmp_path / "points.sqlite"
    source.write_text(json.dumps({"0.jpg": mesh(478, 0.5)}))
    import_landmarks(source, store)
    first = store.stat().st_mtime_ns
    import_landmarks(source, store)
    assert store.stat().st_mtime_ns == first
    source.write_text(json.dumps({"0.jpg": mesh(478, 0.125), "1.jpg": mesh(478, 0)}))
    assert (import_landmarks(source, store).find(Path("0.jpg")) == 0.125).all()


@pytest.mark.parametrize(
    ("text", "expected"), [("[]", "begins with '\\['"), ('{"a": [[1', "not whole JSON"), (None, "is not there")]
)
def test_another_file_is_refused(tmp_path, text, expected):
    source = tmp_path / "points.json"
    if text is not None:
        source.write_text(text)
    with pytest.raises(UserError, match=expected):
        import_landmarks(source, tmp_path / "points.sqlite")
    assert not (tmp_path / "points.sqlite").exists()
