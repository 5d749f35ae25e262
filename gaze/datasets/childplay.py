"""ChildPlay: clips of children and adults at play, and where each of them looks."""

from __future__ import annotations

import os
from collections.abc import Sequence

from gaze.datasets.annotations import Rows
from gaze.datasets.childplay_files import list_clips, read_clip
from gaze.datasets.clips import check_every
from gaze.datasets.faults import Fault
from gaze.datasets.image import MAX_PIXELS
from gaze.datasets.scene import Augmentation
from gaze.datasets.scene_images import SceneImages, need_folder
from gaze.datasets.splits import SPLITS, check_fraction, choose, take, warn_shared


class ChildPlay(SceneImages):
    """Frames of clips; a sample is one frame with all the people who are annotated in it.

    The folder is that of the data set's own readme (Tafasca, Gupta, Odobez, "ChildPlay", ICCV 2023):
    `annotations/<split>/<clip>.csv` with a header and a line per person and frame, `images/<clip>/<video>_<number>.jpg`,
    where a clip is called `<video>_<start>-<end>` and its line with frame n means picture number start + n - 1. From
    that readme: names of columns, folders, clips and classes, head boxes as x, y, width, height in pixels, gaze -1
    where the class is not inside_visible. Nothing of it was verified against the files, which are not freely available.
    In clips called "-downsampled" every other frame was left out; whether their pictures are numbered one by one or
    in twos is read off the folder.

    `inside_visible` is inout 1, `outside_frame` 0; heads of the other classes are left out, as in the published
    evaluation. The data set has train, val and test. Without a val folder whole source videos of train are held out.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test".
        val_fraction: share of the training videos held out where there is no val folder, from 0 to below 1.
        frame_sample_every: of each clip's frames, take the first and then every so many; train and val.
        test_sample_every: the same for test.

    All other arguments are those of `SceneImages`; the header of one image per clip is read in any case.

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
        frame_sample_every: int = 6,
        test_sample_every: int = 1,
        check: str = "headers",
        on_corrupt: str = "raise",
        skip_limit: float = 0.1,
        max_pixels: int = MAX_PIXELS,
        upright: bool = False,
    ) -> None:
        check_fraction("ChildPlay", val_fraction)
        check_every("ChildPlay.frame_sample_every", frame_sample_every)
        check_every("ChildPlay.test_sample_every", test_sample_every)
        every = test_sample_every if split == "test" else frame_sample_every
        super().__init__(
            root,
            split,
            lambda: _read(root, split, val_fraction, every, max_pixels, upright),
            image_size,
            crop,
            augmentations,
            check,
            on_corrupt,
            skip_limit,
            max_pixels,
            upright,
        )

    def group(self, index: int) -> str:
        """The clip of a frame."""
        return os.path.dirname(self.name(index))


def _read(
    root: str, split: str, val_fraction: float, every: int, max_pixels: int, upright: bool
) -> tuple[Rows, list[Fault]]:
    """The rows of a split, less what can't be read."""
    need_folder(root, "ChildPlay")
    found = [name for name in SPLITS if os.path.isdir(os.path.join(root, "annotations", name))]
    source, held_out = choose(root, split, found, lambda name: f"annotations/{name}")
    clips, faults = list_clips(root, source), []
    for other in SPLITS[SPLITS.index(source) + 1 :]:
        if other in found:
            theirs = list_clips(root, other)
            for clip in sorted(clips.keys() & theirs.keys()):
                where, there = f"annotations/{source}/{clip}.csv", f"is also in annotations/{other}"
                faults.append(Fault(where, there, "each clip in one split only", "remove it from one of them"))
                del clips[clip]
            warn_shared(root, source, clips.values(), f"the {other} split", theirs.values(), "video")
    if held_out:
        videos = take(root, split, list_clips(root, source).values(), val_fraction, "video")
        clips = {clip: video for clip, video in clips.items() if video in videos}
    files: list[str] = []
    records: list[tuple] = []
    for clip in sorted(clips):
        name = f"annotations/{source}/{clip}.csv"
        found_here, bad = read_clip(root, name, clip, len(files), every, max_pixels, upright)
        files.append(name)
        records += found_here
        faults += bad
    return Rows.of(files, "line", records), faults
