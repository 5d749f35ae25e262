"""Frames of annotated video clips as pictures: every so many are taken, and those of a clip belong together."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gaze.datasets.annotations import Rows
from gaze.datasets.clips import check_every
from gaze.datasets.faults import Fault
from gaze.datasets.image import MAX_PIXELS
from gaze.datasets.scene import Augmentation
from gaze.datasets.scene_images import SceneImages
from gaze.datasets.splits import check_fraction


class ClipImages(SceneImages):
    """Frames of clips; a sample is one frame with all the people who are annotated in it.

    A data set of clips is this and `read`, which knows the format of its annotations.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test".
        val_fraction: share of the training groups (shows, videos) held out where there is no val split, from 0 to below 1.
        frame_sample_every: of each clip's frames, take the first and then every so many; train and val.
        test_sample_every: the same for test. Published figures are of all frames: 1.

    All other arguments are those of `SceneImages`.

    Raises:
        DatasetError: the folder, or what it holds, is not a data set that training should begin with.
    """

    test_beyond_border = False  # are labels beyond the border of the picture left there in test?

    def __init__(
        self,
        root: str,
        split: str,
        image_size: Sequence[int],
        crop: Augmentation | None = None,
        augmentations: Sequence[Augmentation] = (),
        val_fraction: float = 0.1,
        frame_sample_every: int = 6,
        test_sample_every: int = 1,
        check: str = "headers",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        upright: bool = False,
    ) -> None:
        name = type(self).__name__
        check_fraction(name, val_fraction)
        check_every(f"{name}.frame_sample_every", frame_sample_every)
        check_every(f"{name}.test_sample_every", test_sample_every)
        every = test_sample_every if split == "test" else frame_sample_every
        super().__init__(
            root,
            split,
            lambda: self.read(root, split, val_fraction, every, max_pixels, upright),
            image_size,
            crop,
            augmentations,
            check,
            on_corrupt,
            skip_limit,
            max_pixels,
            upright,
            beyond_border=self.test_beyond_border and split == "test",
        )

    @staticmethod
    def read(
        root: str, split: str, val_fraction: float, every: int, max_pixels: int, upright: bool
    ) -> tuple[Rows, list[Fault]]:
        """The rows of every so many frames of a split, less what can't be read, and the faults of its files."""
        raise NotImplementedError

    def group(self, index: int) -> str:
        """The clip of a frame."""
        return os.path.dirname(self.name(index))
