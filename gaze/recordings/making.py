"""From a reader to a finished table: prepared, validated and reported."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gaze.devices import load_devices, table_hash
from gaze.errors import UserError
from gaze.recordings.crops import Pictures
from gaze.recordings.file_lists import import_file_lists
from gaze.recordings.json_stream import JsonStream
from gaze.recordings.landmark_json import LandmarkStore, import_landmarks
from gaze.recordings.landmarking import Landmarker
from gaze.recordings.manifest import Manifest, read_manifest
from gaze.recordings.preparation import Preparation, prepare, summary, writing
from gaze.recordings.report import write_report
from gaze.recordings.sample import Reader
from gaze.recordings.validation import validate

LANDMARKS = ".landmarks.sqlite"
BOXES = ("dataset", "landmarks")
MEDIAPIPE = "mediapipe"  # landmarks are found by the landmarker


def make_table(
    reader: Reader,
    pictures: Pictures,
    out: Path | str,
    plan: Mapping[str, Any],
    *,
    devices: Path | str | None = None,
    manifest: Path | str | None = None,
    landmarks: str | None = None,
    landmarker: Landmarker | None = None,
    boxes: str = "dataset",
    invalid: str = "keep",
    lag_reach: int = 5,
    recordings_per_part: int = 1,
    workers: int = 0,
    overwrite: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write a table, or what is missing of it, and its report, which is returned.

    Args:
        plan: the settings that decide the rows, to compare with those of a table that is there.
        landmarks: json:FILE, or mediapipe, which needs the landmarker.
        boxes: dataset, or landmarks to draw them anew.

    The others are as in conf/prepare_pog.yaml.

    Raises:
        UserError: a setting is wrong, or the folder holds another table.
    """
    if boxes not in BOXES:
        raise UserError(f"boxes is {boxes!r}; expected {' or '.join(BOXES)}")
    if boxes == "landmarks" and landmarks is None and landmarker is None:
        raise UserError("boxes is 'landmarks', but there are none; give landmarks=json:FILE or landmarks=mediapipe")
    if landmarks == MEDIAPIPE and landmarker is None:
        raise UserError("landmarks is 'mediapipe', and landmarker is null; leave landmarker as it is in the config")
    table = load_devices(devices)
    preparation = Preparation(
        reader,
        pictures,
        table,
        invalid=invalid,
        splits=_splits(manifest, reader.dataset),
        store=_store(landmarks, Path(out)),
        landmarker=landmarker,
        own_boxes=boxes == "landmarks",
        per_part=recordings_per_part,
    )
    also = {"devices_sha256": table_hash(table), "manifest_sha256": _digest(manifest)}
    parts = prepare(preparation, out, {**plan, **also}, workers, overwrite, progress)
    findings = validate(out, table, lag_reach)
    with writing(Path(out)):
        return write_report(out, findings, summary(parts))


def load_split(path: Path | str, dataset: str) -> Manifest:
    """A split of people from a file of ours, or from a list of picture files, whichever it is."""
    with JsonStream(path) as stream:
        if stream.peek() == "{" and next(stream.members(), None) == "version":
            return read_manifest(path)
    return import_file_lists(path, dataset)


def _splits(manifest: Path | str | None, dataset: str) -> Mapping[str, str] | None:
    if manifest is None:
        return None
    subjects = load_split(manifest, dataset).subjects
    return {subject: split for split, names in subjects.items() for subject in names}


def _store(landmarks: str | None, out: Path) -> LandmarkStore | None:
    if landmarks in (None, MEDIAPIPE):
        return None
    kind, _, file = landmarks.partition(":")
    if kind != "json" or not file:
        raise UserError(f"landmarks is {landmarks!r}; expected json:FILE, {MEDIAPIPE} or null")
    return import_landmarks(file, out / LANDMARKS)


def _digest(path: Path | str | None) -> str | None:
    if path is None:
        return None
    found = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
