"""The journal gives back what was written, whatever a crash or another process does to it."""

import json
import math
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.journal import Entry, Journal, best, monitored

names = st.sampled_from(["train", "val", "test", "system"]).flatmap(
    lambda prefix: st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8).map(
        lambda t: f"{prefix}/{t}"
    )
)
lines = st.lists(st.tuples(st.integers(0, 10**9), st.dictionaries(names, st.floats(), max_size=4)), max_size=8)


def same(a: list[Entry], b: list[tuple[int, dict]]) -> bool:
    return [(e.step, {k: repr(v) for k, v in e.values.items()}) for e in a] == [
        (step, {k: repr(float(v)) for k, v in values.items()}) for step, values in b
    ]


@given(lines)
@settings(deadline=None, max_examples=50, derandomize=True)
def test_gives_back_what_was_written(tmp_path_factory, written):
    journal = Journal(tmp_path_factory.mktemp("run"))
    for step, values in written:
        journal.write(step, values)
    assert same(journal.read(), written)
    assert same(Journal(journal.path.parent).read(), written)


def test_lines_are_strict_json_with_nan_and_infinity(tmp_path):
    journal = Journal(tmp_path)
    journal.write(3, {"train/loss": math.nan, "val/a": math.inf, "val/b": -math.inf, "val/c": 0.5})

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    record = json.loads(journal.path.read_text(), parse_constant=refuse)
    assert record.pop("time") > 0
    assert record == {"step": 3, "train/loss": "NaN", "val/a": "Infinity", "val/b": "-Infinity", "val/c": 0.5}


@pytest.mark.fault("K1")
@given(st.integers(0, 200))
@settings(deadline=None, max_examples=50, derandomize=True)
def test_a_torn_last_line_costs_only_itself(tmp_path_factory, cut):
    journal = Journal(tmp_path_factory.mktemp("run"))
    for step in range(3):
        journal.write(step, {"train/loss": step / 3})
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[: max(0, len(whole) - cut)])
    left = [entry.step for entry in Journal(journal.path.parent).read()]
    assert left == list(range(len(left)))
    again = Journal(journal.path.parent)
    again.write(7, {"train/loss": 7.0})
    # A line that lacks only its line feed is whole, and is closed by the next one.
    assert [entry.step for entry in again.read()] in ([*left, 7], [*left, len(left), 7])


def test_rewind_drops_later_and_torn_lines(tmp_path):
    journal = Journal(tmp_path)
    for step in (0, 10, 10, 20, 30):
        journal.write(step, {"train/loss": 1.0, "val/x": math.nan})
    with journal.path.open("a") as file:
        file.write('{"step": 40, "tra')
    kept = journal.read()[:3]
    journal.rewind(10)
    assert repr(journal.read()) == repr(kept)
    journal.write(11, {"train/loss": 2.0})
    assert [entry.step for entry in journal.read()] == [0, 10, 10, 11]
    assert len(journal.path.read_text().splitlines()) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_rewind_and_read_without_a_file(tmp_path):
    journal = Journal(tmp_path)
    journal.rewind(5)
    assert journal.read() == []


def test_a_reader_can_follow_a_writer(tmp_path):
    journal = Journal(tmp_path)
    seen, position = [], 0
    for step in range(5):
        journal.write(step, {"train/loss": float(step)})
        entries, position = Journal(tmp_path).read_from(position)
        seen += entries
    with journal.path.open("ab") as file:
        file.write(b'{"step": 5, "time": 1, ')
        file.flush()
        entries, after = journal.read_from(position)
        assert (entries, after) == ([], position)
        file.write(b'"train/loss": 5}\n')
    entries, _ = journal.read_from(position)
    assert [entry.step for entry in [*seen, *entries]] == list(range(6))


def test_two_writers_do_not_mix_their_lines(tmp_path):
    def write(prefix: str) -> None:
        journal = Journal(tmp_path)
        for step in range(200):
            journal.write(step, {f"{prefix}/{'x' * 50}{i}": float(i) for i in range(20)})

    writers = [threading.Thread(target=write, args=(prefix,)) for prefix in ("train", "system")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    entries = Journal(tmp_path).read()
    assert len(entries) == 400
    assert all(len(entry.values) == 20 for entry in entries)


@pytest.mark.parametrize("key", ["loss", "step", "train/", "test", "valid/x"])
def test_refuses_names_outside_the_four_sections(tmp_path, key):
    with pytest.raises(ValueError, match="train/"):
        Journal(tmp_path).write(0, {key: 1.0})
    assert not (tmp_path / "metrics.jsonl").exists()


def test_best_ignores_what_is_not_finite():
    entries = [Entry(i, 0.0, {"val/x": x}) for i, x in enumerate([3.0, math.nan, 1.0, -math.inf, 2.0])]
    assert best(entries, "val/x", "minimize") == entries[2]
    assert best(entries, "val/x", "maximize") == entries[0]
    assert best(entries, "val/y", "minimize") is None
    assert monitored({"trainer": {"monitor": "min_l2", "mode": "maximize"}}) == ("val/min_l2", "maximize")


@pytest.mark.fault("K6")
def test_a_full_disk_is_reported_and_the_next_line_is_whole(tmp_path, monkeypatch):
    import os

    journal = Journal(tmp_path)
    journal.write(0, {"train/loss": 0.0})
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:10]))
    with pytest.raises(OSError, match="free some space"):
        journal.write(1, {"train/loss": 1.0})
    monkeypatch.undo()
    journal.write(2, {"train/loss": 2.0})
    assert [entry.step for entry in Journal(Path(tmp_path)).read()] == [0, 2]
