"""Pictures with people in them, whatever the format of their annotations: checked once, then read one by one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.annotations import Rows, pack
from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import MAX_PIXELS, ImageError, read_image, resize
from gaze.datasets.image_checks import check_images, check_paths
from gaze.datasets.label_checks import check_inside, check_labels
from gaze.datasets.later import applied, at_once, changed, drawn, pixel_changes
from gaze.datasets.paths import inside
from gaze.datasets.scene import Augmentation, Scene
from gaze.datasets.substitutes import Substitutes
from gaze.types import Batch, Record, SceneInputs, SceneTargets

log = logging.getLogger(__name__)

_CHECKS = ("labels", "headers", "decode")
_POLICIES = ("raise", "skip")


class SceneImages(Dataset):
    """One sample is one picture with all its people; aspect is not kept when it is resized.

    A data set is this and a function that reads its annotations. Heads that look out of the frame have
    inout 0 and points of NaN. `SceneTargets.image_size` is that of the picture before the resize, after the
    crop if any. Everything that is wrong with the files is found at construction and reported together.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test"; for messages.
        read: gives the rows of the split and the faults of its annotation files.
        image_size: (height, width) of the samples in pixels.
        crop: applied at the native resolution, before the resize; training only.
        augmentations: applied after the resize, in order; training only.
        check: what is looked at before training begins. "labels": the annotations, and no image where the
            annotations say how large each is. "headers": also that each image is there, how large it is and that its
            file is not cut off; some 8,000 images a second. "decode": also every pixel, some 1,000 a second on two cores.
        on_corrupt: "raise" reports the faults as an error. "skip" drops the rows and images at fault,
            keeps the list in `faults`, and replaces an image that turns out to be unreadable in training by
            the next readable one, which `faults` then lists, too. In evaluation such an image is an error under either,
            for a substitute would be counted twice; "decode" finds it beforehand.
        skip_limit: the most faults, as a share of the annotation rows, that "skip" accepts.
        max_pixels: an image of more pixels than this is at fault.
        upright: turn pictures as their EXIF orientation says; false suits boxes that mean the picture as it is stored.
        several_annotators, beyond_border: see `check_labels`.

    Attributes:
        labels: `SceneLabels`, the labels in flat arrays.

    Raises:
        DatasetError: the folder, or what it holds, is not a data set that training should begin with.
    """

    def __init__(
        self,
        root: str,
        split: str,
        read: Callable[[], tuple[Rows, list[Fault]]],
        image_size: Sequence[int],
        crop: Augmentation | None = None,
        augmentations: Sequence[Augmentation] = (),
        check: str = "headers",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        upright: bool = False,
        several_annotators: bool = False,
        beyond_border: bool = False,
    ) -> None:
        self.image_size = self._size(image_size)
        self._one_of("check", check, _CHECKS)
        self._one_of("on_corrupt", on_corrupt, _POLICIES)
        self.root, self.split = root, split
        self.crop, self.augmentations = crop, list(augmentations)
        self.max_pixels, self.upright = max_pixels, upright
        rows, faults = read()
        answers = len(rows) + len(faults)
        rows, more = _check(rows, root, check, max_pixels, upright, several_annotators, beyond_border)
        title = f"the {split} split of {root}"
        self._substitutes = Substitutes(title, on_corrupt, faults + more, answers, skip_limit, "rows")
        if not len(rows):
            raise DatasetError(f"{title} holds no head that can be used; expected at least one annotated image")
        self.labels = pack(rows)
        self._substitutes.begin(len(self))

    @property
    def faults(self) -> list[Fault]:
        """What was dropped at construction, and the images that were replaced since, in any loader worker."""
        do = "restore the file, or remove the row"
        return self._substitutes.faults(self.name, "image", "a readable image", do)

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
        if generator is not None:
            return at_once(self, self.begun(index, generator, generator))
        return self._sample(index, None)

    def begun(self, index: int, generator: torch.Generator, order: torch.Generator) -> Batch[SceneInputs, SceneTargets]:
        """An augmented view, of which the changes of pixels at the end of the list are left; see `Dataset.begun`.

        Raises:
            ImageError: the image can't be read, or is not as large as it was at construction.
        """
        return self._sample(index, generator)

    @torch.no_grad()
    def finished(self, batch: Batch, later: Record | None) -> Batch:
        """The batch with its pixels changed; see `Dataset.finished`."""
        if later is None:
            return batch
        image = applied(pixel_changes(self.augmentations), batch.inputs.image, batch.later, later)
        return replace(batch, inputs=replace(batch.inputs, image=image), later=None)

    def _sample(self, index: int, generator: torch.Generator | None) -> Batch[SceneInputs, SceneTargets]:
        scene, index = self._substitutes.readable(index, self._native, substitute=generator is not None)
        if generator is not None and self.crop is not None:
            scene = self.crop(scene, generator)
        size = torch.tensor(scene.image.shape[-2:])
        scene = replace(scene, image=resize(scene.image, self.image_size))
        left = None
        if generator is not None:
            scene = changed(scene, self.augmentations, generator)
            left = drawn(pixel_changes(self.augmentations), generator)
        heads = len(scene.head_bbox)
        start, stop = self.labels.start[index : index + 2].tolist()
        return Batch(
            inputs=SceneInputs(scene.image, scene.head_bbox, torch.zeros(heads, dtype=torch.int64)),
            targets=SceneTargets(scene.points, self.labels.inout[start:stop].clone(), size.expand(heads, 2).clone()),
            index=torch.tensor(index),
            later=left,
        )

    def picture(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """Picture `index` at its own size, for people to look at."""
        return self._native(index).image

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

    def _size(self, image_size: Sequence[int]) -> tuple[int, int]:
        if len(image_size) != 2 or min(image_size) < 1:
            name = type(self).__name__
            raise ValueError(f"{name}.image_size is {list(image_size)}; expected (height, width) in pixels")
        return image_size[0], image_size[1]

    def _one_of(self, name: str, value: str, allowed: Sequence[str]) -> None:
        if value not in allowed:
            raise ValueError(f"{type(self).__name__}.{name} is {value!r}; expected one of {', '.join(allowed)}")


def need_folder(root: str, layout: str) -> None:
    """Refuse a data set folder that is not there.

    Args:
        root: the folder.
        layout: whose layout it should have.
    """
    if not os.path.isdir(root):
        raise DatasetError(
            f"the data set folder {os.path.abspath(root)} does not exist; expected images and annotation files in the "
            f"layout of {layout}. Ask its authors for the data and unpack it there, make a synthetic set with "
            "tools/synthesize.py, or point data_root elsewhere"
        )


def _check(
    rows: Rows,
    root: str,
    check: str,
    max_pixels: int,
    upright: bool,
    several_annotators: bool,
    beyond_border: bool,
) -> tuple[Rows, list[Fault]]:
    """The rows that are good, and what is wrong with the others."""
    rows, faults = check_labels(rows, several_annotators, beyond_border)
    if check == "labels" and (rows.size > 0).all():
        rows, more = check_paths(rows, root)
    else:
        rows, more = check_images(rows, root, check == "decode", max_pixels, upright)
    rows, outside = check_inside(rows)
    return rows, faults + more + outside
