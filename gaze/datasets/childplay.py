"""ChildPlay: clips of children and adults at play, and where each of them looks."""

from __future__ import annotations

import os

from gaze.datasets.annotations import Rows
from gaze.datasets.childplay_files import list_clips, read_clip
from gaze.datasets.clip_images import ClipImages
from gaze.datasets.faults import Fault
from gaze.datasets.scene_images import need_folder
from gaze.datasets.splits import SPLITS, choose, take, warn_shared


class ChildPlay(ClipImages):
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

    Arguments are those of `ClipImages`; the header of one image per clip is read in any case.
    """

    @staticmethod
    def read(
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
