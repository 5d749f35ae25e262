"""The raw annotation tree of VideoAttentionTarget, read into rows.

As Chong et al. (2020) publish it: a text file per person and clip, `annotations/<split>/<show>/<clip>/<person>.txt`, without a
header: frame file, head box x_min, y_min, x_max, y_max and gaze x, y in pixels, -1 where the target is out of
the frame; frames are `images/<show>/<clip>/<frame>`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from gaze.datasets.annotations import Rows
from gaze.datasets.clips import clip_size, end_of_gaze, number, sampled
from gaze.datasets.faults import Fault

COLUMNS = ("frame", "x_min", "y_min", "x_max", "y_max", "gaze_x", "gaze_y")
WINDOW = 11  # frames of the moving average of head boxes, as in GazeLLE's preprocessing
_CORRECT = "correct or remove the line"


class Track(NamedTuple):
    """One person of a clip, as the file has them."""

    line: list[int]
    frame: list[str]
    box: Float[ndarray, "t 4"]  # x0, y0, x1, y1 in pixels
    gaze: Float[ndarray, "t 2"]  # x, y in pixels


def list_clips(folder: str, name: str) -> tuple[list[str], list[Fault]]:
    """The "show/clip" folders of a split, sorted, and a fault for each show that holds none."""
    clips: list[str] = []
    faults = []
    for show in _folders(folder):
        inner = _folders(os.path.join(folder, show))
        clips += [f"{show}/{clip}" for clip in inner]
        if not inner:
            faults.append(Fault(f"{name}/{show}", "the show has no clip", "a folder per clip", "restore or remove it"))
    return clips, faults


def read_clips(
    root: str, name: str, clips: Iterable[str], every: int, max_pixels: int, upright: bool
) -> tuple[Rows, list[Fault]]:
    """The rows of some clips of the raw tree, and what is wrong with their files.

    The people of a clip are joined on the name of the frame: a frame holds whoever has a line for it, so that people
    may come late, leave and return. Boxes are smoothed before frames are left out.

    Args:
        root: the data root.
        name: the folder of the split below it, such as "annotations/train".
        clips: "show/clip".
        every: take every so many frames of each clip, counted from its first.
        max_pixels: see `image_size`.
        upright: see `image_size`.
    """
    files: list[str] = []
    records: list[tuple] = []
    faults: list[Fault] = []
    for clip in clips:
        tracks, bad = _read_people(root, f"{name}/{clip}")
        faults += bad
        if not tracks:
            continue
        frames = sampled((frame for track in tracks.values() for frame in track.frame), every)
        size = clip_size(root, [f"images/{clip}/{frame}" for frame in frames], max_pixels, upright)
        if isinstance(size, str):
            found = f"none of its {len(frames)} frames can be read ({size})"
            faults.append(
                Fault(f"images/{clip}", found, "the pictures of the clip", "restore them, or remove the clip")
            )
            continue
        wanted = set(frames)
        for person, (file, track) in enumerate(tracks.items()):
            box = smooth(track.box)
            gaze, inout = end_of_gaze(track.gaze)
            gaze = gaze / size[::-1]
            for t in np.flatnonzero([frame in wanted for frame in track.frame]):
                path = f"images/{clip}/{track.frame[t]}"
                records.append((len(files), track.line[t], path, person, inout[t], *box[t], *gaze[t], *size))
            files.append(file)
    return Rows.of(files, "line", records), faults


def smooth(boxes: Float[ndarray, "t 4"], window: int = WINDOW) -> Float[ndarray, "t 4"]:
    """The mean of each box and its neighbours in the file, `window` in all; the first and last are repeated beyond the ends.

    Neighbours are lines, not frames: a person who leaves and returns is averaged over the gap, as in the original.
    """
    padded = np.pad(boxes, ((window // 2, window // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, np.full(window, 1 / window), "valid") for column in padded.T], axis=1)


def read_track(path: str, name: str) -> tuple[Track, list[Fault]]:
    """The lines of one person's file that can be read, and a fault for each of the others."""
    lines: list[int] = []
    frames: dict[str, int] = {}
    values: list[list[float]] = []
    faults: list[Fault] = []
    try:
        with open(path, "rb") as handle:
            text = handle.read().removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        faults.append(Fault(name, f"can't be read ({reason})", "a text file in UTF-8", "restore or remove it"))
        text = ""
    for at, line in enumerate(text.splitlines(), start=1):
        cells = [cell.strip() for cell in line.split(",")]
        if not any(cells):
            continue
        try:
            frame, numbers = _cells(cells)
            if frame in frames:
                raise ValueError(f"frame {frame!r} is listed before, in line {frames[frame]}")
        except ValueError as error:
            expected = f"{len(COLUMNS)} columns ({', '.join(COLUMNS)}), finite numbers, each frame once"
            faults.append(Fault(f"{name}:line {at}", str(error), expected, _CORRECT))
            continue
        frames[frame] = at
        lines.append(at)
        values.append(numbers)
    if not lines and not faults:
        faults.append(Fault(name, "the file is empty", "a line per frame", "restore or remove it"))
    table = np.asarray(values, dtype=np.float64).reshape(-1, 6)
    return Track(lines, list(frames), table[:, :4], table[:, 4:]), faults


def _read_people(root: str, clip: str) -> tuple[dict[str, Track], list[Fault]]:
    """The people of a clip by their file, sorted by its name."""
    folder = os.path.join(root, clip)
    names = [n for n in sorted(os.listdir(folder)) if n.endswith(".txt") and not n.startswith(".")]
    if not names:
        return {}, [Fault(clip, "the clip has no person", "a .txt file per person", "restore or remove the folder")]
    tracks: dict[str, Track] = {}
    faults: list[Fault] = []
    for name in names:
        track, bad = read_track(os.path.join(folder, name), f"{clip}/{name}")
        faults += bad
        if track.line:
            tracks[f"{clip}/{name}"] = track
    return tracks, faults


def _cells(cells: Sequence[str]) -> tuple[str, list[float]]:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"{len(cells)} columns")
    if not cells[0]:
        raise ValueError("the frame has no name")
    return cells[0], [number(name, cell) for name, cell in zip(COLUMNS[1:], cells[1:], strict=True)]


def _folders(folder: str) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
