"""GazeFollow and every folder in its layout: pictures, the heads in them, and where each of them looks."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.annotations import Rows, pack
from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import DatasetError, Fault, report
from gaze.datasets.gazefollow_files import read_json, read_paths, read_raw
from gaze.datasets.image import MAX_PIXELS, ImageError, read_image, resize
from gaze.datasets.image_checks import check_images, check_leakage, check_paths
from gaze.datasets.label_checks import check_inside, check_labels
from gaze.datasets.paths import inside
from gaze.datasets.scene import Augmentation, Scene
from gaze.types import Batch, SceneInputs, SceneTargets

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
_CHECKS = ("labels", "headers", "decode")
_POLICIES = ("raise", "skip")
_SUBSTITUTES = 8  # unreadable images in a row before training stops anyway


class GazeFollow(Dataset):
    """One sample is one picture with all its people; aspect is not kept when it is resized.

    The folder holds the images and, for each split, `<split>_preprocessed.json` or the raw
    `<split>_annotations_release.txt` (the JSON is taken if both are there). GazeFollow has train and test; a
    `val` file has the format of train. Without one, `val` is the share `val_fraction` of the training
    images, chosen by a hash of their paths: the same images whatever the machine, the seed and the format of
    the annotations. Splits are by image, so all people of a picture are in the same one.

    Heads of the training file that annotators could not decide about (inout -1) are left out; heads that
    look out of the frame stay, with inout 0 and points of NaN. A test head carries the points of all its
    annotators. `SceneTargets.image_size` is that of the picture before the resize, after the crop if any.

    Everything that is wrong with the files is found at construction and reported together.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test".
        image_size: (height, width) of the samples in pixels.
        crop: applied at the native resolution, before the resize; training only.
        augmentations: applied after the resize, in order; training only.
        val_fraction: share of the training images held out where there is no val file, from 0 to below 1.
        check: what is looked at before training begins. "labels": the annotations, and no image where the
            JSON says how large each is (raw annotations don't). "headers": also that each image is there, how
            large it is and that its file is not cut off; some 8,000 images a second. "decode": also every pixel,
            some 1,000 a second on two cores.
        on_corrupt: "raise" reports the faults as an error. "skip" drops the rows and images at fault,
            keeps the list in `faults`, and replaces an image that turns out to be unreadable in training by
            the next readable one, which `faults` then lists, too. In evaluation such an image is an error under either, for a
            substitute would be counted twice; "decode" finds it beforehand.
        skip_limit: the most faults, as a share of the annotation rows, that "skip" accepts.
        max_pixels: an image of more pixels than this is at fault.
        upright: turn pictures as their EXIF orientation says. GazeFollow's boxes are those of the picture as it is
            stored, which is what Pillow opens; true suits labels that were drawn on what a viewer shows.

    Attributes:
        labels: `SceneLabels`, the labels in flat arrays.

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
        self.image_size = _size(image_size)
        _one_of("check", check, _CHECKS)
        _one_of("on_corrupt", on_corrupt, _POLICIES)
        if not 0.0 <= val_fraction < 1.0:
            raise ValueError(f"GazeFollow.val_fraction is {val_fraction}; expected a fraction from 0 to below 1")
        self.root, self.split = root, split
        self.crop, self.augmentations = crop, list(augmentations)
        self.on_corrupt, self.max_pixels, self.upright = on_corrupt, max_pixels, upright
        rows, faults = _read(root, split, val_fraction)
        answers = len(rows) + len(faults)
        rows, more = _check(rows, root, split, check, max_pixels, upright)
        self._dropped: list[Fault] = faults + more
        self._judge(answers, len(rows), skip_limit)
        self.labels = pack(rows)
        self._replaced = torch.zeros(len(self), dtype=torch.bool).share_memory_()  # written by loader workers

    @property
    def faults(self) -> list[Fault]:
        """What was dropped at construction, and the images that were replaced since, in any loader worker."""
        found, do = "can't be read, and another image takes its place", "restore the file, or remove the row"
        late = self._replaced.nonzero()[:, 0].tolist()
        return [*self._dropped, *(Fault(self.name(i), found, "a readable image", do) for i in late)]

    def __len__(self) -> int:
        return len(self.labels.path)

    def name(self, index: int) -> str:
        """The image file, relative to the root."""
        return self.labels.path[index].as_py()

    def sample(self, index: int, generator: torch.Generator | None) -> Batch[SceneInputs, SceneTargets]:
        """Picture `index` with its people; see `Dataset.sample`.

        Raises:
            ImageError: the image can't be read, or is not as large as it was at construction.
        """
        scene, index = self._scene(index, substitute=generator is not None and self.on_corrupt == "skip")
        if generator is not None and self.crop is not None:
            scene = self.crop(scene, generator)
        size = torch.tensor(scene.image.shape[-2:])
        scene = replace(scene, image=resize(scene.image, self.image_size))
        if generator is not None:
            for augment in self.augmentations:
                scene = augment(scene, generator)
        heads = len(scene.head_bbox)
        start, stop = self.labels.start[index : index + 2].tolist()
        return Batch(
            inputs=SceneInputs(scene.image, scene.head_bbox, torch.zeros(heads, dtype=torch.int64)),
            targets=SceneTargets(scene.points, self.labels.inout[start:stop].clone(), size.expand(heads, 2).clone()),
            index=torch.tensor(index),
        )

    def picture(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """Picture `index` at its own size, for people to look at."""
        return self._native(index).image

    def _scene(self, index: int, substitute: bool) -> tuple[Scene, int]:
        """Picture `index` as it is in its file, or the next one that can be read; and which one it is."""
        for attempt in range(_SUBSTITUTES):
            try:
                return self._native(index), index
            except ImageError as error:
                if not substitute or attempt == _SUBSTITUTES - 1:
                    raise
                log.warning("%s; sample %d takes its place", error, (index + 1) % len(self))
                self._replaced[index] = True
                index = (index + 1) % len(self)
        raise AssertionError("the loop returns or raises")

    def _native(self, index: int) -> Scene:
        file = inside(self.root, self.name(index))
        image = read_image(file, self.max_pixels, self.upright)
        expected = tuple(self.labels.size[index].tolist())
        if tuple(image.shape[-2:]) != expected:
            height, width = image.shape[-2:]
            found = f"is {width} x {height} pixels, but was {expected[1]} x {expected[0]} when the data set was opened"
            raise ImageError(file, f"{found}; restore the file, or start again")
        start, stop = self.labels.start[index : index + 2].tolist()
        # Copies: a slice would take the labels of all pictures along when a worker sends it.
        return Scene(image, self.labels.head_bbox[start:stop].clone(), self.labels.points[start:stop].clone())

    def _judge(self, answers: int, left: int, skip_limit: float) -> None:
        title = f"the {self.split} split of {self.root}"
        if self._dropped and self.on_corrupt == "raise":
            raise DatasetError(
                report(title, self._dropped) + "\nCorrect them, or drop what is at fault: on_corrupt=skip"
            )
        if len(self._dropped) > skip_limit * answers:
            limit = f"more than skip_limit={skip_limit:g} of its {answers} rows; correct them or raise the limit"
            raise DatasetError(f"{report(title, self._dropped)}\nThat is {limit}")
        if not left:
            raise DatasetError(f"{title} holds no head that can be used; expected at least one annotated image")
        if self._dropped:
            log.warning("%s; skipped", report(title, self._dropped))


def _read(root: str, split: str, val_fraction: float) -> tuple[Rows, list[Fault]]:
    """The rows of a split as its file has them, less what can't be read."""
    if not os.path.isdir(root):
        raise DatasetError(
            f"the data set folder {os.path.abspath(root)} does not exist; expected images and annotation files in the "
            "layout of GazeFollow. Ask its authors for the data and unpack it there, make a synthetic set with "
            "tools/synthesize.py, or point data_root elsewhere"
        )
    found = {name: file for name in SPLITS if (file := _file(root, name)) is not None}
    held_out = split in ("train", "val") and "val" not in found
    source = "train" if held_out else split
    if split not in SPLITS or source not in found:
        looked = " or ".join(_names(source)) if split in SPLITS else " or ".join(SPLITS)
        there = ", ".join(found) or "no annotation file"
        raise DatasetError(f"split {split!r} of {root}: expected {looked}; the folder holds {there}")
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


def _check(rows: Rows, root: str, split: str, check: str, max_pixels: int, upright: bool) -> tuple[Rows, list[Fault]]:
    """The rows that are good, and what is wrong with the others."""
    rows, faults = check_labels(rows, split == "test")
    if check == "labels" and (rows.size > 0).all():
        rows, more = check_paths(rows, root)
    else:
        rows, more = check_images(rows, root, check == "decode", max_pixels, upright)
    rows, outside = check_inside(rows)
    return rows, faults + more + outside


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
    draws = [int.from_bytes(blake2b(p.encode(), digest_size=8).digest(), "big") / 2**64 for p in paths.to_pylist()]
    return rows.keep((np.array(draws) < fraction)[image] == held)


def _file(root: str, split: str) -> str | None:
    return next((name for name in _names(split) if os.path.exists(os.path.join(root, name))), None)


def _names(split: str) -> tuple[str, str]:
    return f"{split}_preprocessed.json", f"{split}_annotations_release.txt"


def _size(image_size: Sequence[int]) -> tuple[int, int]:
    if len(image_size) != 2 or min(image_size) < 1:
        raise ValueError(f"GazeFollow.image_size is {list(image_size)}; expected (height, width) in pixels")
    return image_size[0], image_size[1]


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"GazeFollow.{name} is {value!r}; expected one of {', '.join(allowed)}")
