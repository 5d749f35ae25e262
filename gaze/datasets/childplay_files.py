"""The annotation files of ChildPlay, one comma-separated table per clip, read into records of rows."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gaze.datasets.clips import clip_size, number, sampled
from gaze.datasets.faults import DatasetError, Fault

NUMBERS = ("frame", "bbox_x", "bbox_y", "bbox_width", "bbox_height", "gaze_x", "gaze_y")
COLUMNS = (*NUMBERS, "person_id", "gaze_class")
INOUT = {
    "inside_visible": 1,
    "outside_frame": 0,
    "gaze_shift": -1,  # -1: nobody could say, or nothing is looked at
    "inside_occluded": -1,
    "inside_uncertain": -1,
    "eyes_closed": -1,
    "not_annotated": -1,
}
_CLIP = re.compile(r"(?P<video>.+)_(?P<start>[0-9]+)-(?P<end>[0-9]+)(?P<slower>-downsampled?)?")
_CORRECT = "correct or remove the line"


class _Line(NamedTuple):
    at: int  # in its file
    frame: int  # of the clip, from 1
    person: str
    inout: int
    box: tuple[float, float, float, float]  # x, y, width, height
    gaze: tuple[float, float]


def list_clips(root: str, split: str) -> dict[str, str]:
    """The clips of a split, and the video that each was cut from."""
    try:
        names = os.listdir(os.path.join(root, "annotations", split))
    except OSError as error:
        raise DatasetError(
            f"{root}/annotations/{split} can't be read ({error.strerror}); expected annotations"
        ) from error
    clips = [name.removesuffix(".csv") for name in names if name.endswith(".csv") and not name.startswith(".")]
    return {clip: match["video"] if (match := _CLIP.fullmatch(clip)) else clip for clip in clips}


def read_clip(
    root: str, name: str, clip: str, source: int, every: int, max_pixels: int, upright: bool
) -> tuple[list[tuple], list[Fault]]:
    """The records of a clip, for `Rows.of`, and what is wrong with its file.

    Args:
        root: the data root.
        name: the annotation file below it.
        clip: its name, without .csv.
        source: the number of the file among those that are read.
        every: take every so many frames, counted from the first that is annotated.
        max_pixels: see `image_size`.
        upright: see `image_size`.
    """
    lines, faults = _read_lines(os.path.join(root, name), name)
    if not lines:
        return [], faults or [
            Fault(name, "the file has no line", "a line per person and frame", "restore or remove it")
        ]
    match = _CLIP.fullmatch(clip)
    if match is None:
        return [], [Fault(name, f"the clip is called {clip!r}", "<video>_<start>-<end>", "restore the name")]
    step = _step(root, clip, match, max(line.frame for line in lines))
    numbers = {line.frame: int(match["start"]) + (line.frame - 1) * step for line in lines}
    wanted = {int(frame) for frame in sampled((f"{line.frame:09d}" for line in lines), every)}
    paths = {frame: f"images/{clip}/{match['video']}_{numbers[frame]}.jpg" for frame in sorted(wanted)}
    size = clip_size(root, list(paths.values()), max_pixels, upright)
    if isinstance(size, str):
        found = f"none of its {len(paths)} frames can be read ({size})"
        faults.append(Fault(f"images/{clip}", found, "the pictures of the clip", "restore them, or remove the clip"))
        return [], faults
    people = sorted({line.person for line in lines})
    records = []
    for line in lines:
        if line.frame in wanted:
            x, y, width, height = line.box
            gaze = np.asarray(line.gaze) / size[::-1]
            place = source, line.at, paths[line.frame], people.index(line.person), line.inout
            records.append((*place, x, y, x + width, y + height, *gaze, *size))
    return records, faults


def _read_lines(path: str, name: str) -> tuple[list[_Line], list[Fault]]:
    lines: list[_Line] = []
    faults: list[Fault] = []
    seen: dict[tuple[int, str], int] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            table = csv.DictReader(handle, strict=True)
            missing = [column for column in COLUMNS if column not in (table.fieldnames or ())]
            if missing:
                expected = f"a header with {', '.join(COLUMNS)}"
                return [], [Fault(name, f"column {', '.join(missing)} is missing", expected, "restore the file")]
            for row in table:
                try:
                    line = _line(table.line_num, row)
                    first = seen.setdefault((line.frame, line.person), line.at)
                    if first != line.at:
                        raise ValueError(f"person {line.person} in frame {line.frame} is in line {first} already")
                    lines.append(line)
                except ValueError as error:
                    expected = "finite numbers, a known gaze_class, and each person once in a frame"
                    faults.append(Fault(f"{name}:line {table.line_num}", str(error), expected, _CORRECT))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        faults.append(Fault(name, f"can't be read ({reason})", "comma-separated text in UTF-8", "restore or remove it"))
    return lines, faults


def _line(at: int, row: Mapping[str | None, str | None]) -> _Line:
    if None in row or None in row.values():
        raise ValueError("the line has more or fewer columns than the header")
    text = {str(column): str(value).strip() for column, value in row.items()}
    frame, x, y, width, height, gaze_x, gaze_y = (number(column, text[column]) for column in NUMBERS)
    if frame < 1 or frame != int(frame):
        raise ValueError(f"frame is {text['frame']}")
    if text["gaze_class"] not in INOUT:
        raise ValueError(f"gaze_class is {text['gaze_class']!r}")
    inout = INOUT[text["gaze_class"]]
    if inout >= 0 and min(width, height) < 0:  # two corners would be exchanged silently
        raise ValueError(f"bbox_width is {width:g} and bbox_height {height:g}, which cannot be negative")
    return _Line(at, int(frame), text["person_id"], inout, (x, y, width, height), (gaze_x, gaze_y))


def _step(root: str, clip: str, match: re.Match, frames: int) -> int:
    """From the number of a picture to that of the next: 2 in a downsampled clip whose pictures kept their numbers."""
    if not match["slower"]:
        return 1
    beyond = int(match["start"]) + frames - 1
    try:
        names = os.listdir(os.path.join(root, "images", clip))
    except OSError:  # is reported as missing pictures
        return 1
    tails = (name.rpartition("_")[2].partition(".")[0] for name in names)
    return 2 if any(tail.isdecimal() and int(tail) > beyond for tail in tails) else 1
