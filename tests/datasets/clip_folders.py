"""Tiny data sets of video clips on disk, in the formats of the real ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (60, 100)  # height, width of the frames in pixels
BOX = (10.0, 10.0, 30.0, 30.0)
Line = tuple[str, Sequence[float], Sequence[float]]  # frame, box, gaze, in pixels
People = Mapping[str, Sequence[Line]]  # file without .txt -> lines


def line(frame: int, box: Sequence[float] = BOX, gaze: Sequence[float] = (50.0, 30.0)) -> Line:
    """One person in one frame."""
    return (f"{frame:08d}.png", box, gaze)


def write_clip(root: Path, split: str, clip: str, people: People, size: Sequence[int] = SIZE) -> None:
    """A clip ("show/clip") of VideoAttentionTarget's raw tree: its people's files and the frames that they name."""
    folder = root / "annotations" / split / clip
    folder.mkdir(parents=True, exist_ok=True)
    for person, lines in people.items():
        text = "".join(",".join(map(str, (frame, *box, *gaze))) + "\n" for frame, box, gaze in lines)
        (folder / f"{person}.txt").write_text(text)
        for frame, _, _ in lines:
            write_frame(root / "images" / clip / frame, size)


def write_frame(file: Path, size: Sequence[int] = SIZE) -> None:
    """A grey picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), 90, dtype=np.uint8)).save(file)


def write_shows(root: Path, split: str, shows: int, clips: int = 1, frames: int = 2, prefix: str = "") -> list[str]:
    """Shows of one person who looks at one point; returns their names."""
    names = [f"{prefix}show {i}" for i in range(shows)]
    for name in names:
        for clip in range(clips):
            write_clip(root, split, f"{name}/{clip:04d}", {"s00": [line(f) for f in range(frames)]})
    return names


def preprocess(root: Path, split: str, prefix: str = "images/") -> Path:
    """Write the JSON that GazeLLE's scripts would write of a raw split, in the plainest way there is."""
    sequences = []
    for folder in sorted((root / "annotations" / split).glob("*/*"), reverse=True):  # in no particular order
        people = {}
        for file in sorted(folder.glob("*.txt")):
            rows = [cells.split(",") for cells in file.read_text().split()]
            boxes = [[float(v) for v in row[1:5]] for row in rows]
            for t, row in enumerate(rows):
                near = [boxes[min(max(t + k, 0), len(rows) - 1)] for k in range(-5, 6)]
                box = [sum(b[i] for b in near) / 11 for i in range(4)]
                people.setdefault(row[0], []).append((box, float(row[5]), float(row[6])))
        clip = "/".join(folder.parts[-2:])
        frames = [
            {"path": f"{prefix}{clip}/{name}", "heads": [_head(*head) for head in heads]}
            for name, heads in sorted(people.items())
        ]
        sequences.append({"path": clip, "height": SIZE[0], "width": SIZE[1], "frames": frames})
    file = root / f"{split}_preprocessed.json"
    file.write_text(json.dumps(sequences))
    return file


def _head(box: list[float], x: float, y: float) -> dict:
    if x < 0 <= y:
        x = 0.0
    elif y < 0 <= x:
        y = 0.0
    height, width = SIZE
    inside = x >= 0 and y >= 0
    norm = [box[0] / width, box[1] / height, box[2] / width, box[3] / height]
    gaze = {"gazex": [x], "gazey": [y], "gazex_norm": [x / width], "gazey_norm": [y / height]}
    return {"bbox": box, "bbox_norm": norm, **gaze, "inout": int(inside)}
