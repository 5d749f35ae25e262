"""The annotation files of GazeFollow, raw and preprocessed, read into rows.

Raw: the comma-separated text of GazeFollow-extended (Chong et al. 2020), no header. Preprocessed: the
JSON that GazeLLE's scripts write. Only what is needed of either is read; `bbox_norm` of the JSON is
not, because files written before January 2025 hold wrong values there.
"""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from gaze.datasets.annotations import Rows
from gaze.datasets.faults import Fault
from gaze.datasets.paths import plain

_PERSON = ["body_bbox_x", "body_bbox_y", "body_bbox_w", "body_bbox_h", "eye_x", "eye_y", "gaze_x", "gaze_y"]
_BOX = ["bbox_x_min", "bbox_y_min", "bbox_x_max", "bbox_y_max"]
TEST_COLUMNS = ["path", "idx", *_PERSON, *_BOX, "source", "meta"]
TRAIN_COLUMNS = ["path", "idx", *_PERSON, *_BOX, "inout", "source", "meta"]
# Whatever float() takes, but for infinities, NaN and underscores.
_NUMBER = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?$"


def read_raw(file: str, name: str, several_annotators: bool) -> tuple[Rows, list[Fault]]:
    """The rows of an annotation text file, and a fault for each line that can't be read.

    Args:
        file: its path.
        name: what messages call it.
        several_annotators: the columns are those of the test file: no inout, and the lines of one image
            with the same eye_x are answers about the same head. Otherwise each line is a head.
    """
    columns = TEST_COLUMNS if several_annotators else TRAIN_COLUMNS
    lines, number, faults = _well_formed(file, name, columns)
    table = _table(lines, columns)
    needed = ["eye_x", "gaze_x", "gaze_y", *_BOX] + ([] if several_annotators else ["inout"])
    values, bad = {}, np.zeros(len(number), dtype=bool)
    for column in needed:
        text = pc.utf8_trim_whitespace(table[column].combine_chunks())
        readable = pc.match_substring_regex(text, _NUMBER)
        values[column] = pc.cast(pc.if_else(readable, text, "0"), pa.float64()).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(~readable.to_numpy(zero_copy_only=False) & ~bad):
            found = f"{column} is {text[int(row)].as_py()!r}"
            faults.append(Fault(f"{name}:line {number[row]}", found, "a finite number", "correct or remove the line"))
            bad[row] = True
    rows = Rows(
        files=(name,),
        unit="line",
        source=np.zeros(len(number), dtype=np.int64),
        number=number,
        path=_plain(table["path"].combine_chunks()),
        head=values["eye_x"] if several_annotators else number.astype(np.float64),
        box=np.stack([values[c] for c in _BOX], axis=1),
        gaze=np.stack([values["gaze_x"], values["gaze_y"]], axis=1),
        inout=np.ones(len(number)) if several_annotators else values["inout"],
        size=np.zeros((len(number), 2), dtype=np.int64),
    )
    return rows.keep(~bad), faults


def read_json(file: str, name: str, several_annotators: bool) -> tuple[Rows, list[Fault]]:
    """The rows of a preprocessed JSON file, and a fault for each image or head that can't be read."""
    with open(file, "rb") as handle:
        try:
            images = json.load(handle)
        except (ValueError, RecursionError) as error:
            return Rows.of([name], "image", []), [_not_a_list(name, f"the file is not JSON ({error})")]
    if not isinstance(images, list):
        return Rows.of([name], "image", []), [_not_a_list(name, f"the file holds a JSON {type(images).__name__}")]
    records: list[tuple] = []
    faults: list[Fault] = []
    seen: dict[str, int] = {}
    for number, image in enumerate(images, start=1):
        where = f"{name}:image {number}"
        try:
            path, heads, size = plain(str(image["path"])), image["heads"], _declared(image)
            if path in seen:
                raise ValueError(f"path {path!r} is listed before, as image {seen[path]}")
            if not heads:
                raise ValueError(f"path {path!r} has no heads")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            faults.append(_unreadable(where, error, "path, heads, width and height, once per image"))
            continue
        seen[path] = number
        for position, head in enumerate(heads):
            try:
                records += [(0, number, path, position, *answer, *size) for answer in _answers(head)]
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                expected = "bbox of 4 finite numbers, inout, and as many gazex_norm as gazey_norm"
                faults.append(_unreadable(f"{where} head {position + 1}", error, expected))
    return Rows.of([name], "image", records), faults


def read_paths(file: str, several_annotators: bool) -> set[str]:
    """The image paths that an annotation file names, and nothing else of it; unreadable lines are passed over."""
    if file.endswith(".json"):
        return set(read_json(file, "", several_annotators)[0].path.to_pylist())
    with open(file, encoding="utf-8-sig", errors="replace", newline="") as handle:
        first = (line.partition(",")[0] if '"' not in line else _first_cell(line) for line in handle)
        return {plain(path) for path in first}


def _first_cell(line: str) -> str:
    """The first of a line's cells, some of which are quoted."""
    try:
        return next(csv.reader([line]), [""])[0]
    except csv.Error:
        return ""


def _plain(paths: pa.StringArray) -> pa.StringArray:
    """The paths, spelt `plain`; only the few that may need it are looked at."""
    odd = pc.match_substring_regex(paths, r"//|(^|/)\./|/$").to_numpy(zero_copy_only=False)
    if not odd.any():
        return paths
    return pa.array([plain(p) if o else p for p, o in zip(paths.to_pylist(), odd, strict=True)], pa.string())


def _well_formed(file: str, name: str, columns: list[str]) -> tuple[list[bytes], np.ndarray, list[Fault]]:
    """The lines with the right number of columns, their numbers, and faults for the others."""
    with open(file, "rb") as handle:
        text = handle.read().removeprefix(b"\xef\xbb\xbf")
    lines, number, faults = [], [], []
    for at, line in enumerate(text.splitlines(), start=1):  # \n, \r\n and \r alike
        if not line.strip():
            continue
        try:
            decoded = line.decode("utf-8")
            count = len(next(csv.reader([decoded]))) if b'"' in line else line.count(b",") + 1
            problem = None if count == len(columns) else f"{count} columns"
        except (UnicodeDecodeError, csv.Error) as error:
            problem = f"unreadable text ({error})"
        if problem is None:
            lines.append(line)
            number.append(at)
        else:
            expected = f"{len(columns)} columns ({', '.join(columns)}) in UTF-8"
            faults.append(Fault(f"{name}:line {at}", problem, expected, "correct or remove the line"))
    return lines, np.asarray(number, dtype=np.int64), faults


def _table(lines: list[bytes], columns: list[str]) -> pa.Table:
    """The lines as columns of text."""
    if not lines:
        return pa.table({column: pa.array([], pa.string()) for column in columns})
    text = b"\n".join(lines)
    return pyarrow.csv.read_csv(
        io.BytesIO(text),
        # One block: a line that straddles two is an error to Arrow.
        read_options=pyarrow.csv.ReadOptions(column_names=columns, block_size=len(text) + 1),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
    )


def _declared(image: Any) -> tuple[int, int]:
    height, width = int(image["height"]), int(image["width"])
    if height < 1 or width < 1:
        raise ValueError(f"width {width} and height {height} are not those of an image")
    return height, width


def _answers(head: Any) -> list[tuple]:
    """(inout, box..., gaze...) for each annotator of a head of the JSON."""
    box = [float(v) for v in head["bbox"]]
    x, y = (v if isinstance(v, list) else [v] for v in (head["gazex_norm"], head["gazey_norm"]))
    gaze = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    numbers = [*box, *(v for point in gaze for v in point)]
    if len(box) != 4 or not gaze or not all(map(math.isfinite, numbers)):
        raise ValueError(f"bbox {head['bbox']}, gazex_norm {x}, gazey_norm {y}")
    return [(float(head["inout"]), *box, *point) for point in gaze]


def _not_a_list(name: str, found: str) -> Fault:
    return Fault(name, found, "a JSON list of images", "write it again, or remove it if the raw annotations are there")


def _unreadable(where: str, error: Exception, expected: str) -> Fault:
    found = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return Fault(where, found, expected, "write the file again, or correct it")
