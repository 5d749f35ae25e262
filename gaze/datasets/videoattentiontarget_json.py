"""The preprocessed annotations of VideoAttentionTarget, read into rows: the JSON that GazeLLE's scripts write.

A list of sequences (path, width, height, frames), of frames (path, heads) and of heads (bbox and gaze in pixels,
gaze -1 where the target is out of the frame, inout). Boxes are smoothed already.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from gaze.datasets.annotations import Rows
from gaze.datasets.clips import end_of_gaze, number, sampled
from gaze.datasets.faults import Fault
from gaze.datasets.paths import plain

Sequences = Mapping[str, tuple[int, Any]]  # "show/clip" -> number and content of its sequence
_AGAIN = "write the file again, or correct it"
_UNUSABLE = (KeyError, TypeError, ValueError, OverflowError, IndexError)  # what content of another shape raises


def open_json(file: str, name: str) -> tuple[Sequences, list[Fault]]:
    """The sequences of a file by "show/clip", and a fault for each whose place can't be told."""
    with open(file, "rb") as handle:
        try:
            listed = json.load(handle)
        except (ValueError, RecursionError) as error:
            return {}, [Fault(name, f"the file is not JSON ({error})", "a list of sequences", _AGAIN)]
    if not isinstance(listed, list):
        return {}, [Fault(name, f"the file holds a JSON {type(listed).__name__}", "a list of sequences", _AGAIN)]
    clips: dict[str, tuple[int, Any]] = {}
    faults = []
    for at, sequence in enumerate(listed, start=1):
        try:
            clip = _clip(sequence)
            if clip in clips:
                raise ValueError(f"clip {clip!r} is listed before, as sequence {clips[clip][0]}")
        except _UNUSABLE as error:
            expected = "frames, each with a path that ends in show/clip/frame, and each clip once"
            faults.append(Fault(f"{name}:sequence {at}", _reason(error), expected, _AGAIN))
            continue
        clips[clip] = (at, sequence)
    return clips, faults


def read_sequences(
    root: str, name: str, clips: Sequences, wanted: Iterable[str], every: int
) -> tuple[Rows, list[Fault]]:
    """The rows of some clips of a file, and a fault for each sequence, frame or head that can't be read.

    Args:
        root: the data root.
        name: what messages call the file.
        clips: what `open_json` found.
        wanted: "show/clip".
        every: take every so many frames of each clip, counted from its first.
    """
    files: list[str] = []
    records: list[tuple] = []
    faults: list[Fault] = []
    for clip in wanted:
        at, sequence = clips[clip]
        files.append(f"{name}:sequence {at}")
        try:
            size, frames = _frames(sequence)
        except _UNUSABLE as error:
            expected = "width, height and frames with a path each"
            faults.append(Fault(files[-1], _reason(error), expected, _AGAIN))
            continue
        for path in sampled(frames, every):
            position, heads = frames[path]
            image = _below_images(root, path)
            for person, head in enumerate(heads):
                try:
                    records.append((len(files) - 1, position, image, person, *_head(head, size), *size))
                except _UNUSABLE as error:
                    where = f"{files[-1]} frame {position} head {person + 1}"
                    expected = "a bbox of 4 finite numbers, gazex, gazey and inout"
                    faults.append(Fault(where, _reason(error), expected, _AGAIN))
    return Rows.of(files, "frame", records), faults


def _clip(sequence: Any) -> str:
    parts = _path(sequence["frames"][0]).split("/")
    if len(parts) < 3:
        raise ValueError(f"path {'/'.join(parts)!r}")
    return f"{parts[-3]}/{parts[-2]}"


def _frames(sequence: Any) -> tuple[tuple[int, int], dict[str, tuple[int, list]]]:
    """(height, width), and for each path the frame's number and heads."""
    height, width = int(sequence["height"]), int(sequence["width"])
    if height < 1 or width < 1:
        raise ValueError(f"width {width} and height {height} are not those of an image")
    frames: dict[str, tuple[int, list]] = {}
    for position, frame in enumerate(sequence["frames"], start=1):
        path = _path(frame)
        if path in frames:
            raise ValueError(f"path {path!r} is listed twice, as frames {frames[path][0]} and {position}")
        if not isinstance(frame["heads"], list) or not frame["heads"]:
            raise ValueError(f"frame {position} has no heads")
        frames[path] = (position, frame["heads"])
    return (height, width), frames


def _head(head: Any, size: tuple[int, int]) -> tuple[float, ...]:
    """inout, box and gaze of a head."""
    box = [number("bbox", str(v)) for v in head["bbox"]]
    if len(box) != 4:
        raise ValueError(f"bbox has {len(box)} numbers")
    x, y = (v[0] if isinstance(v, list) else v for v in (head["gazex"], head["gazey"]))
    gaze, _ = end_of_gaze(np.asarray([[number("gazex", str(x)), number("gazey", str(y))]]))
    return (number("inout", str(head["inout"])), *box, *(gaze[0] / size[::-1]))


def _path(frame: Any) -> str:
    return plain(str(frame["path"]))


def _below_images(root: str, path: str) -> str:
    """The path relative to the root; some files count from the folder of the images."""
    beside = not os.path.exists(os.path.join(root, path)) and os.path.exists(os.path.join(root, "images", path))
    return f"images/{path}" if beside else path


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
