"""GOO-Real: people in front of shelves, each looking at one of the objects."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gaze.datasets.annotations import Rows
from gaze.datasets.clips import number
from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import MAX_PIXELS
from gaze.datasets.image_checks import check_leakage
from gaze.datasets.paths import plain
from gaze.datasets.plain_pickle import PickleError, load_plain
from gaze.datasets.scene import Augmentation
from gaze.datasets.scene_images import SceneImages, need_folder
from gaze.datasets.splits import SPLITS, check_fraction, choose, take, warn_shared

_FILES = {"train": "oneshotrealhumans", "val": "valrealhumans", "test": "testrealhumans"}
_AGAIN = "correct or remove the record"


class GOOReal(SceneImages):
    """Pictures of one person each; a sample is one picture. Everybody looks into the frame: inout is 1.

    The folder holds the dense set as its authors describe it (Tomas et al., "GOO: A Dataset for Gaze Object
    Prediction in Retail Environments", 2021; gooreal-download.txt): the pictures below `images`, and a pickle for each
    split, `oneshotrealhumans` (train), `valrealhumans` and `testrealhumans`, with or without "New" at the end of the
    name. A pickle is a list of a dict per picture, of which we read filename, width, height, ann.bboxes (the last box is
    that of the head), gaze_cx and gaze_cy. From that description, too: the coordinates are those of the picture at 640 x
    480, whatever its own size. Nothing of it was verified against the files. A .json of the same lists is
    taken first. Pickles can carry programs: only plain data is read from them, see `load_plain`.

    Splits are those of the authors. Without a val file whole sessions of train (the first folder of the file names) are
    held out, so that no face is in both. The sparse test set is not read.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test".
        images: the folder of the pictures, below the root.
        label_size: (height, width) of the picture that coordinates mean, in pixels.
        val_fraction: share of the training sessions held out where there is no val file, from 0 to below 1.

    All other arguments are those of `SceneImages`.

    Raises:
        DatasetError: the folder, or what it holds, is not a data set that training should begin with.
    """

    def __init__(
        self,
        root: str,
        split: str,
        image_size: Sequence[int],
        images: str = "finalrealdatasetImgsV2",
        label_size: Sequence[int] = (480, 640),
        crop: Augmentation | None = None,
        augmentations: Sequence[Augmentation] = (),
        val_fraction: float = 0.1,
        check: str = "headers",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        upright: bool = False,
    ) -> None:
        check_fraction("GOOReal", val_fraction)
        if len(label_size) != 2 or min(label_size) < 1:
            raise ValueError(f"GOOReal.label_size is {list(label_size)}; expected (height, width) in pixels")
        labels = (label_size[0], label_size[1])
        super().__init__(
            root,
            split,
            lambda: _read(root, split, images, labels, val_fraction),
            image_size,
            crop,
            augmentations,
            check,
            on_corrupt,
            skip_limit,
            max_pixels,
            upright,
        )


def _read(
    root: str, split: str, images: str, label_size: tuple[int, int], val_fraction: float
) -> tuple[Rows, list[Fault]]:
    """The rows of a split, less what can't be read."""
    need_folder(root, "GOO-Real")
    found = {name: file for name in SPLITS if (file := _file(root, name)) is not None}
    source, held_out = choose(root, split, list(found), lambda name: " or ".join(_names(name)[2:]))
    rows, faults = _rows(root, found[source], images, label_size)
    for other in SPLITS[SPLITS.index(source) + 1 :]:
        if other in found:
            theirs = _rows(root, found[other], images, label_size)[0].path.to_pylist()
            rows, more = check_leakage(rows, found[other], set(theirs))
            faults += more
            ours = [_session(path, images) for path in rows.path.to_pylist()]
            warn_shared(root, source, ours, found[other], [_session(path, images) for path in theirs], "session")
    if held_out:
        sessions = [_session(path, images) for path in rows.path.to_pylist()]
        kept = take(root, split, sessions, val_fraction, "session")
        rows = rows.keep(np.array([session in kept for session in sessions], dtype=bool))
    return rows, faults


def _rows(root: str, name: str, images: str, label_size: tuple[int, int]) -> tuple[Rows, list[Fault]]:
    """The rows of an annotation file, and a fault for each record that can't be read."""
    listed = _load(os.path.join(root, name))
    records, faults = [], []
    for at, record in enumerate(listed, start=1):
        try:
            records.append((0, at, *_record(record, images, label_size, at)))
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            found = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            expected = "filename, width, height, ann.bboxes with the head's box last, gaze_cx, gaze_cy"
            faults.append(Fault(f"{name}:record {at}", found, expected, _AGAIN))
    return Rows.of([name], "record", records), faults


def _load(file: str) -> list:
    """The records of a file."""
    try:
        if file.endswith(".json"):
            with open(file, "rb") as handle:
                content = json.load(handle)
        else:
            content = load_plain(file)
    except PickleError as error:
        raise DatasetError(f"{file} {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{file} can't be read ({reason}); expected a list of annotated pictures") from error
    if not isinstance(content, list):
        raise DatasetError(f"{file} holds a {type(content).__name__}; expected a list of annotated pictures")
    return content


def _record(record: Any, images: str, label_size: tuple[int, int], at: int) -> tuple:
    """path, head, inout, box, gaze and size of a picture."""
    filename = str(record["filename"]).replace("\\", "/")
    if not filename.strip("/"):
        raise ValueError(f"filename is {record['filename']!r}")
    height, width = int(record["height"]), int(record["width"])
    if height < 1 or width < 1:
        raise ValueError(f"width {width} and height {height} are not those of an image")
    box = [number("head box", str(v)) for v in record["ann"]["bboxes"][-1]]
    if len(box) != 4:
        raise ValueError(f"head box has {len(box)} numbers")
    x, y = (number(key, str(record[key])) for key in ("gaze_cx", "gaze_cy"))
    down, across = height / label_size[0], width / label_size[1]
    pixels = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    path = plain(f"{images}/{filename.lstrip('/')}")
    return (path, at, 1, *pixels, x / label_size[1], y / label_size[0], height, width)


def _session(path: str, images: str) -> str:
    return path.removeprefix(f"{plain(images)}/").split("/")[0]


def _file(root: str, split: str) -> str | None:
    return next((name for name in _names(split) if os.path.exists(os.path.join(root, name))), None)


def _names(split: str) -> list[str]:
    return [f"{_FILES[split]}{new}.{suffix}" for suffix in ("json", "pickle") for new in ("New", "")]
