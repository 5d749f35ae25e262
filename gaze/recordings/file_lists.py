"""Splits that are told as long lists of picture files (train_val_test_filepaths*.json), read as a stream.

Layouts that are understood; FILE is a path, or an object with face_path, left_eye_path, right_eye_path, user_id, ...:

    {split: [FILE, ...]}                 {split: {subject: [FILE, ...]}}
    {split: {face_path: [path, ...], left_eye_path: [path, ...], user_id: [...], ...}}
    [{"split": split, ...FILE}, ...]     {subject: split}
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gaze.errors import UserError
from gaze.recordings.json_stream import JsonStream
from gaze.recordings.manifest import SPLITS, Manifest

NAMES = {
    **dict.fromkeys(("train", "training", "trn", "train_filepaths", "train_files"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "val_filepaths", "val_files"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "test_filepaths", "test_files"), "test"),
}
SUBJECT = ("user_id", "subject", "subject_id", "user", "person", "participant", "recording")
PATH = ("face_path", "face", "frame_path", "path", "file", "filepath", "image", "left_eye_path", "right_eye_path")
# Folders below a person's that say only which crop a file is
CROPS = re.compile(r"(?i)(apple)?(face|left_?eye|right_?eye|eyes?|frames?|images?|crops?|day\d+)")


def import_file_lists(path: Path | str, dataset: str, keep_files: bool = False) -> Manifest:
    """The split that a list of files tells, by the subjects that are named there or whose folders the files are in.

    Args:
        path: the JSON file.
        dataset: its name.
        keep_files: put the files in the manifest, too, which takes memory for all of them.

    Raises:
        UserError: the layout is none of the above, or a person is in two splits.
    """
    subjects: dict[str, set[str]] = {split: set() for split in SPLITS}
    files: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    with JsonStream(path) as stream:
        for split, subject, file in _entries(stream):
            subjects[split].add(subject)
            if keep_files and file:
                files[split].append(file)
    if not any(subjects.values()):
        raise UserError(f"{path} names no file; expected {{split: [files]}}")
    rule = {"kind": "imported", "source": Path(path).name}
    try:
        return Manifest(dataset, rule, {split: sorted(names) for split, names in subjects.items()}, dict(files))
    except UserError as error:
        raise UserError(f"{path}: {error}; random frames of one person in two splits leak who it is") from error


Entry = tuple[str, str, Mapping[str, Any]]  # split, subject, file


def _entries(stream: JsonStream) -> Iterator[Entry]:
    if stream.peek() == "[":
        for _ in stream.elements():
            file = stream.value()
            told = file.get("split") if isinstance(file, dict) else None
            yield _split(stream, told), *_file(stream, file)
        return
    for name in stream.members():
        if stream.peek() == '"':  # {subject: split}
            yield _split(stream, stream.value()), name, {}
            continue
        split = _split(stream, name)
        for subject, file in _part(stream):
            yield split, subject, file


def _part(stream: JsonStream) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The files of one split."""
    if stream.peek() == "[":
        for _ in stream.elements():
            yield _file(stream, stream.value())
        return
    columns: dict[str, list[Any]] = {}
    for name in stream.members():
        if name in (*PATH, *SUBJECT):
            columns[name] = stream.value()
            continue
        for _ in stream.elements():  # {subject: [FILE]}
            file = stream.value()
            yield name, file if isinstance(file, dict) else {"face_path": file}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise UserError(f"{stream.path}: the lists {', '.join(columns)} have different lengths; restore the file")
    for values in zip(*columns.values(), strict=True):
        yield _file(stream, dict(zip(columns, values, strict=True)))


def _file(stream: JsonStream, file: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(file, str):
        return _folder(file), {"face_path": file}
    if not isinstance(file, dict):
        raise UserError(
            f"{stream.path} lists {str(file)[:40]!r}; expected a path, or an object with face_path and user_id"
        )
    for key in SUBJECT:
        if file.get(key) is not None:
            return str(file[key]), file
    for key in PATH:
        if isinstance(file.get(key), str):
            return _folder(file[key]), file
    raise UserError(f"{stream.path} lists an object with {', '.join(file) or 'nothing'}; expected face_path or user_id")


def _folder(path: str) -> str:
    """The deepest folder of a file that does not only say which crop it is."""
    folders = path.replace("\\", "/").split("/")[:-1]
    return next((name for name in reversed(folders) if name and not CROPS.fullmatch(name)), "")


def _split(stream: JsonStream, name: Any) -> str:
    split = NAMES.get(str(name).lower())
    if split is None:
        raise UserError(f"{stream.path} has the split {name!r}; expected one of {', '.join(NAMES)}")
    return split
