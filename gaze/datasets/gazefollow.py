"""GazeFollow and every folder in its layout: pictures, the heads in them, and where each of them looks."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from gaze.datasets.annotations import Rows
from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.gazefollow_files import read_json, read_paths, read_raw
from gaze.datasets.image import MAX_PIXELS
from gaze.datasets.image_checks import check_leakage
from gaze.datasets.scene import Augmentation
from gaze.datasets.scene_images import SceneImages, need_folder
from gaze.datasets.splits import SPLITS, check_fraction, choose, draw


class GazeFollow(SceneImages):
    """Pictures in GazeFollow's layout; a sample is one picture with all its people.

    The folder holds the images and, for each split, `<split>_preprocessed.json` or the raw
    `<split>_annotations_release.txt` (the JSON is taken if both are there). GazeFollow has train and test; a
    `val` file has the format of train. Without one, `val` is the share `val_fraction` of the training
    images, chosen by a hash of their paths: the same images whatever the machine, the seed and the format of
    the annotations. Splits are by image, so all people of a picture are in the same one.

    Heads of the training file that annotators could not decide about (inout -1) are left out. A test head
    carries the points of all its annotators. Boxes are those of the picture as it is stored, which is what
    Pillow opens: `upright` suits other labels, drawn on what a viewer shows.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test".
        val_fraction: share of the training images held out where there is no val file, from 0 to below 1.
        check: as in `SceneImages`; the JSON says how large each image is, raw annotations don't.

    All other arguments are those of `SceneImages`.

    Raises:
        DatasetError: the folder, or what it holds, is not a data set that training should begin with.
    """

    def __init__(
        self,
        root: str,
        split: str,
        image_size: Sequence[int],
        crop: Augmentation | None = None,
        augmentations: Sequence[Augmentation] = (),
        val_fraction: float = 0.1,
        check: str = "headers",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        upright: bool = False,
    ) -> None:
        check_fraction("GazeFollow", val_fraction)
        super().__init__(
            root,
            split,
            lambda: _read(root, split, val_fraction),
            image_size,
            crop,
            augmentations,
            check,
            on_corrupt,
            skip_limit,
            max_pixels,
            upright,
            several_annotators=split == "test",
        )


def _read(root: str, split: str, val_fraction: float) -> tuple[Rows, list[Fault]]:
    """The rows of a split as its file has them, less what can't be read."""
    need_folder(root, "GazeFollow")
    found = {name: file for name in SPLITS if (file := _file(root, name)) is not None}
    source, held_out = choose(root, split, found, lambda name: " or ".join(_names(name)))
    rows, faults = _open(root, found[source], source)
    if held_out:
        rows = _hold_out(rows, val_fraction, split == "val")
    if split == "val" and held_out and not val_fraction:
        raise DatasetError(f"{root} has no val file and val_fraction is 0; expected a fraction such as 0.1")
    for other in SPLITS[SPLITS.index(source) + 1 :]:
        if other in found:
            paths = read_paths(os.path.join(root, found[other]), other == "test")
            rows, more = check_leakage(rows, found[other], paths)
            faults += more
    return rows, faults


def _open(root: str, file: str, split: str) -> tuple[Rows, list[Fault]]:
    read = read_json if file.endswith(".json") else read_raw
    try:
        return read(os.path.join(root, file), file, split == "test")
    except OSError as error:
        raise DatasetError(
            f"{os.path.join(root, file)} can't be read ({error.strerror}); expected annotations"
        ) from error


def _hold_out(rows: Rows, fraction: float, held: bool) -> Rows:
    """The rows of the images that are held out, or of the others."""
    paths, image = rows.images()
    # The hash of a path depends on nothing else: adding images moves none of the old ones to another split.
    draws = [draw(path) for path in paths.to_pylist()]
    return rows.keep((np.array(draws) < fraction)[image] == held)


def _file(root: str, split: str) -> str | None:
    return next((name for name in _names(split) if os.path.exists(os.path.join(root, name))), None)


def _names(split: str) -> tuple[str, str]:
    return f"{split}_preprocessed.json", f"{split}_annotations_release.txt"
