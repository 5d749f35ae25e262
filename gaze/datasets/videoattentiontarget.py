"""VideoAttentionTarget and every folder in its layout: clips of shows, and where each person looks in each frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from gaze.datasets.annotations import Rows
from gaze.datasets.clips import check_every, onto_border
from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import MAX_PIXELS
from gaze.datasets.scene import Augmentation
from gaze.datasets.scene_images import SceneImages, need_folder
from gaze.datasets.splits import SPLITS, check_fraction, choose, take, warn_shared
from gaze.datasets.videoattentiontarget_files import list_clips, read_clips
from gaze.datasets.videoattentiontarget_json import open_json, read_sequences


class VideoAttentionTarget(SceneImages):
    """Frames of clips; a sample is one frame with all the people who are annotated in it.

    The folder holds `images/<show>/<clip>/<frame>` and the raw `annotations/<split>/<show>/<clip>/<person>.txt` of
    Chong et al. (2020), or `<split>_preprocessed.json` of GazeLLE's scripts (the JSON is taken if both are
    there); they give the same samples. The data set has train and test. Without a val split, whole shows of train are
    held out: no face of a validation frame was seen in training, and nothing is ever chosen on test.

    Smoothing, the join of the people of a clip and the in/out rule are those of GazeLLE's preprocessing; clips and
    people are in the order of their names, where it takes the order of the file system. A target up to a tenth of the
    frame beyond the right or bottom border is moved to the border in train and val, and further ones are faults; the
    original leaves them outside, and so does test, whose figures are therefore those of the original.

    Args:
        root: the folder. No path in an annotation file may lead out of it.
        split: "train", "val" or "test".
        val_fraction: share of the training shows held out where there is no val split, from 0 to below 1.
        frame_sample_every: of each clip's frames, take the first and then every so many; train and val.
        test_sample_every: the same for test. Published figures are of all frames: 1.

    All other arguments are those of `SceneImages`; raw annotations make it read the header of one image per clip.

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
        check_fraction("VideoAttentionTarget", val_fraction)
        check_every("VideoAttentionTarget.frame_sample_every", frame_sample_every)
        check_every("VideoAttentionTarget.test_sample_every", test_sample_every)
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
            beyond_border=split == "test",
        )

    def group(self, index: int) -> str:
        """The clip of a frame."""
        return os.path.dirname(self.name(index))


@dataclass(frozen=True)
class _Clips:
    """The clips of one split, before anything of them is read."""

    keys: Collection[str]  # "show/clip"
    faults: list[Fault]
    read: Callable[[Iterable[str], int], tuple[Rows, list[Fault]]]


def _read(
    root: str, split: str, val_fraction: float, every: int, max_pixels: int, upright: bool
) -> tuple[Rows, list[Fault]]:
    """The rows of a split, less what can't be read."""
    need_folder(root, "VideoAttentionTarget")
    found = [name for name in SPLITS if _file(root, name) is not None]
    source, held_out = choose(root, split, found, lambda name: " or ".join(_names(name)))
    clips = _open(root, source, max_pixels, upright)
    keys, faults = set(clips.keys), clips.faults
    for other in SPLITS[SPLITS.index(source) + 1 :]:
        if other in found:
            theirs = set(_open(root, other, max_pixels, upright).keys)
            faults = faults + [_shared(clip, source, other) for clip in sorted(keys & theirs)]
            keys -= theirs
            warn_shared(root, source, map(_show, keys), f"the {other} split", map(_show, theirs), "show")
    if held_out:
        shows = take(root, split, map(_show, clips.keys), val_fraction, "show")
        keys = {clip for clip in keys if _show(clip) in shows}
    rows, more = clips.read(sorted(keys), every)
    if split != "test":
        rows = replace(rows, gaze=onto_border(rows.gaze))
    return rows, faults + more


def _open(root: str, split: str, max_pixels: int, upright: bool) -> _Clips:
    name = _file(root, split) or ""
    try:
        if name.endswith(".json"):
            sequences, faults = open_json(os.path.join(root, name), name)
            return _Clips(sequences, faults, lambda keys, every: read_sequences(root, name, sequences, keys, every))
        listed, faults = list_clips(os.path.join(root, name), name)
    except OSError as error:
        raise DatasetError(
            f"{os.path.join(root, name)} can't be read ({error.strerror}); expected annotations"
        ) from error
    return _Clips(listed, faults, lambda keys, every: read_clips(root, name, keys, every, max_pixels, upright))


def _shared(clip: str, split: str, other: str) -> Fault:
    found = f"the clip {clip} is also in the {other} split"
    return Fault(f"the {split} split", found, "each clip in one split only", "remove it from one of them")


def _show(clip: str) -> str:
    return clip.split("/")[0]


def _file(root: str, split: str) -> str | None:
    return next((name for name in _names(split) if os.path.exists(os.path.join(root, name))), None)


def _names(split: str) -> tuple[str, str]:
    return f"{split}_preprocessed.json", f"annotations/{split}"
