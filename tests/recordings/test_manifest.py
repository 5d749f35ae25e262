"""Splits of people: rules, the file, and lists of files that are read as a stream."""

from __future__ import annotations

import json
import logging
import tracemalloc

import pytest

from gaze.errors import UserError
from gaze.recordings import json_stream
from gaze.recordings.file_lists import import_file_lists
from gaze.recordings.json_stream import JsonStream
from gaze.recordings.manifest import (
    Manifest,
    kfold,
    leave_one_out,
    official,
    random_split,
    read_manifest,
    write_manifest,
)

PEOPLE = [f"p{number:02d}" for number in range(20)]


def everybody(split) -> list[str]:
    return sorted(name for names in split.values() for name in names)


@pytest.mark.parametrize(
    "split",
    [
        random_split(PEOPLE),
        kfold(PEOPLE, 5, 4),
        leave_one_out(PEOPLE, "p03"),
        official([(name, "test" if name < "p03" else "train") for name in PEOPLE]),
    ],
)
def test_everybody_is_in_one_split(split):
    assert everybody(split) == PEOPLE
    assert Manifest("mini", {}, split)


def test_rules_do_what_they_say_and_do_it_again():
    assert [len(names) for names in random_split(PEOPLE).values()] == [17, 1, 2]
    assert random_split(PEOPLE) == random_split(reversed(PEOPLE))
    assert random_split(PEOPLE, seed=1) != random_split(PEOPLE)
    tested = [name for fold in range(5) for name in kfold(PEOPLE, 5, fold)["test"]]
    assert sorted(tested) == PEOPLE
    assert leave_one_out(PEOPLE, "p03")["test"] == ["p03"]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: random_split(PEOPLE, (0.5, 0.5, 0.5)), "add up to 1"),
        (lambda: random_split(PEOPLE[:2]), "2 subjects can't be split"),
        (lambda: kfold(PEOPLE, 2, 0), "3 to 20 folds"),
        (lambda: leave_one_out(PEOPLE, "zoe"), "no subject 'zoe'"),
        (lambda: Manifest("mini", {}, {"train": ["a", "b"], "test": ["b"]}), "b in train and test"),
        (lambda: Manifest("mini", {}, {"training": ["a"]}), "named 'training'"),
    ],
)
def test_impossible_splits_are_refused(make, expected):
    with pytest.raises(UserError, match=expected):
        make()


def test_a_manifest_is_read_as_it_was_written(tmp_path, caplog):
    files = {"train": [{"face_path": "a/0.jpg", "user_id": "a"}]}
    written = Manifest("mini", {"kind": "random", "seed": 0}, {"train": ["a"], "test": ["b"]}, files, "2025-01-01")
    write_manifest(written, tmp_path / "split.json")
    assert read_manifest(tmp_path / "split.json") == written
    assert written.split_of("b") == "test"
    assert written.split_of("c") == "unused"
    with caplog.at_level(logging.WARNING):
        read_manifest(tmp_path / "split.json", root=tmp_path)
    assert "1 of 1 files of the split are not in" in caplog.text


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"subjects": {"train": ["b"], "test": ["a"]}}, "was changed after it was written"),
        ({"version": 7}, "has version 7"),
        (None, "can't be read"),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, change, expected):
    path = tmp_path / "split.json"
    write_manifest(Manifest("mini", {}, {"train": ["a"], "test": ["b"]}), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change) if change else "{")
    with pytest.raises(UserError, match=expected):
        read_manifest(path)


LAYOUTS = {
    "paths": {"train": ["00002/appleFace/0.jpg", "/x/00003/frames/1.jpg"], "validation": ["00004/0.jpg"], "test": []},
    "objects": {
        "train": [{"face_path": "q/0.jpg", "user_id": "00002"}, {"user_id": "00003"}],
        "val": [{"face_path": "00004/face/0.jpg"}],
    },
    "by subject": {"train": {"00002": ["a.jpg"], "00003": [{"face_path": "b.jpg"}]}, "val": {"00004": ["c.jpg"]}},
    "columns": {
        "train": {"face_path": ["a.jpg", "b.jpg"], "user_id": ["00002", "00003"]},
        "val": {"face_path": ["00004/c.jpg"]},
    },
    "list": [
        {"split": "train", "user_id": "00002"},
        {"split": "train", "user_id": "00003"},
        {"split": "val", "subject": "00004"},
    ],
    "subjects": {"00002": "train", "00003": "train", "00004": "valid"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lists_of_files_are_understood(tmp_path, layout, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 5)
    (tmp_path / "train_val_test_filepaths.json").write_text(json.dumps(LAYOUTS[layout], indent=1))
    found = import_file_lists(tmp_path / "train_val_test_filepaths.json", "mini")
    assert found.subjects == {"train": ["00002", "00003"], "val": ["00004"], "test": []}


def test_the_files_can_be_kept(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(LAYOUTS["objects"]))
    assert import_file_lists(tmp_path / "a.json", "mini", keep_files=True).files["train"][0]["face_path"] == "q/0.jpg"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"train": ["a/0.jpg"], "test": ["a/1.jpg"]}, "a in train and test.*leak"),
        ({"holdout": ["a/0.jpg"]}, "has the split 'holdout'"),
        ({"train": [3]}, "lists '3'; expected a path"),
        ({"train": [{"x": 1}]}, "an object with x; expected face_path"),
        ({"train": {"face_path": ["a"], "user_id": ["a", "b"]}}, "different lengths"),
        ({}, "names no file"),
    ],
)
def test_lists_that_are_not_understood_are_refused(tmp_path, content, expected):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=expected):
        import_file_lists(tmp_path / "a.json", "mini")


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_stream_reads_what_json_reads(tmp_path, chunk, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    content = {"a": [1.5, -20, None, 'x\\"}]é'], "b": {}, "c": [], "d": {"e": True}}
    (tmp_path / "a.json").write_text(json.dumps(content, indent=2))
    with JsonStream(tmp_path / "a.json") as stream:
        found = {}
        for name in stream.members():
            found[name] = [stream.value() for _ in stream.elements()] if stream.peek() == "[" else stream.value()
    assert found == content


@pytest.mark.parametrize("text", ['{"a": [1, 2', '{"a" 1}', '{"a": nope}', "", "[1 2]"])
def test_a_file_that_breaks_off_is_named(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match="a.json is not whole JSON: found"), JsonStream(tmp_path / "a.json") as stream:
        [stream.value() for _ in (stream.elements() if text[:1] == "[" else stream.members())]


def test_a_long_file_is_read_in_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 1 << 10)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"train": [f"{number:05d}/face/0.jpg" for number in range(12000)]}))
    tracemalloc.start()
    with JsonStream(path) as stream:
        count = sum(len(stream.value()) > 0 for _ in stream.members() for _ in stream.elements())
    assert count == 12000
    assert tracemalloc.get_traced_memory()[1] < path.stat().st_size / 4
    tracemalloc.stop()
