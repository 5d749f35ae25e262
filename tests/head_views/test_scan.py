"""What masks say is looked up once, and again when a file changes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from gaze.head_views import scan as scanning
from gaze.head_views.layout import keys_of
from gaze.head_views.scan import scanned
from tests.head_views.files import Person, write

KEYS = keys_of({})


@pytest.fixture
def path(tmp_path):
    return write(tmp_path / "data/subject0000.h5", Person(0))


@pytest.fixture
def looks(monkeypatch):
    """How often a file was read."""
    counted, read = [], scanning._scan
    monkeypatch.setattr(scanning, "_scan", lambda *args: counted.append(1) or read(*args))
    return counted


@pytest.mark.fault("D12")
def test_a_file_is_looked_at_once_for_each_stride(path, looks, tmp_path):
    first = scanned(path, KEYS, 100)
    assert first.head.all()
    assert first.eyes.all()
    assert not first.empty.any()
    np.testing.assert_allclose(first.vertices, Person(0).seen(Person(0).vertices[:, ::100]), rtol=1e-6)
    again = scanned(path, KEYS, 100)
    np.testing.assert_array_equal(again.vertices, first.vertices)
    assert len(looks) == 1
    assert scanned(path, KEYS, None).vertices.shape == (4, 0, 3)
    assert len(looks) == 2
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    scanned(path, KEYS, 100)
    assert len(looks) == 3


def test_where_files_can_not_be_written_beside_it_is_kept_elsewhere(path, looks, tmp_path):
    (path.parent / scanning.FOLDER).write_text("in the way")  # root writes to any folder, but not into a file
    for _ in range(2):
        scanned(path, KEYS, 100, tmp_path / "cache")
    assert len(looks) == 1
    assert len(list((tmp_path / "cache").glob("subject0000-*.npz"))) == 1


@pytest.mark.fault("X1")
def test_a_damaged_index_is_made_again_and_none_is_no_fault(path, looks, tmp_path, caplog):
    scanned(path, KEYS, 100)
    (kept,) = (path.parent / scanning.FOLDER).glob("*.npz")
    kept.write_bytes(b"PK half a zip")
    scanned(path, KEYS, 100)
    assert len(looks) == 2
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.write_text("in the way")
    (tmp_path / "cache").write_text("in the way")
    scanned(path, KEYS, 100, tmp_path / "cache")
    assert "looked up again by every run" in caplog.text
