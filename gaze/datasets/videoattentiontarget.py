"""VideoAttentionTarget and every folder in its layout: clips of shows, and where each person looks in each frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from gaze.datasets.annotations import Rows
from gaze.datasets.clip_images import ClipImages
from gaze.datasets.clips import onto_border
from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.scene_images import need_folder
from gaze.datasets.splits import SPLITS, choose, take, warn_shared
from gaze.datasets.videoattentiontarget_files import list_clips, read_clips
from gaze.datasets.videoattentiontarget_json import open_json, read_sequences


class VideoAttentionTarget(ClipImages):
    """Frames of clips; a sample is one frame with all the people who are annotated in it.

    The folder holds `images/<show>/<clip>/<frame>` and the raw `annotations/<split>/<show>/<clip>/<person>.txt` of
    Chong et al. (2020), or `<split>_preprocessed.json` of GazeLLE's scripts (the JSON is taken if both are
    there); they give the same samples. The data set has train and test. Without a val split, whole shows of train are
    held out: no face of a validation frame was seen in training, and nothing is ever chosen on test.

    Smoothing, the join of the people of a clip and the in/out rule are those of GazeLLE's preprocessing; clips and
    people are in the order of their names, where it takes the order of the file system. A target up to a tenth of the
    frame beyond the right or bottom border is moved to the border in train and val, and further ones are faults; the
    original leaves them outside, and so does test, whose figures are therefore those of the original.

    Arguments are those of `ClipImages`; raw annotations make it read the header of one image per clip.
    """

    test_beyond_border = True  # as the published evaluation has them

    @staticmethod
    def read(
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


@dataclass(frozen=True)
class _Clips:
    """The clips of one split, before anything of them is read."""

    keys: Collection[str]  # "show/clip"
    faults: list[Fault]
    read: Callable[[Iterable[str], int], tuple[Rows, list[Fault]]]


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
