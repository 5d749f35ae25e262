"""Small files are whole, whoever else writes them."""

import multiprocessing
import os
import time

import pytest

from gaze import durable

WRITERS = 4


def write_often(file, together, failures):
    together.wait()
    for number in range(25):
        try:
            durable.write_text(file, f"{number}" * 100)
        except OSError as error:
            failures.put(repr(error))


def test_writers_of_one_file_do_not_disturb_each_other(tmp_path):
    start = multiprocessing.get_context("fork")
    together, failures, file = start.Barrier(WRITERS), start.SimpleQueue(), tmp_path / "about.json"
    writers = [start.Process(target=write_often, args=(file, together, failures)) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures.empty(), failures.get()
    assert file.read_text() == "24" * 100
    assert list(tmp_path.iterdir()) == [file]


def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    file, left, new = (tmp_path / name for name in ("a.json", ".a.json.0.writing", ".a.json.1.writing"))
    left.write_text("{")
    new.write_text("{")
    os.utime(left, (time.time() - 2 * durable.ABANDONED,) * 2)
    durable.write_text(file, "{}")
    assert sorted(tmp_path.iterdir()) == sorted([file, new])


def test_what_could_not_be_written_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gaze.durable.os.replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        durable.write_text(tmp_path / "a.json", "{}")
    assert list(tmp_path.iterdir()) == []
