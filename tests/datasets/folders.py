"""Tiny data sets on disk, in the formats of the real ones, with marks from which labels can be verified."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

MARK_SIGMA = 2.0  # pixels of the original image
COLOURS = 3  # person i is marked in channel i % 3, so up to three people can be told apart


@dataclass(frozen=True)
class Person:
    """What the annotation files say of one head."""

    box: tuple[float, float, float, float]  # pixels
    points: tuple[tuple[float, float], ...]  # one per annotator, fractions; of an out-of-frame target one (-1, -1)
    inout: int


@dataclass(frozen=True)
class Picture:
    """One image of a folder, and the people in it."""

    path: str
    height: int
    width: int
    people: tuple[Person, ...]


def write_gazefollow_folder(
    root: str | Path,
    images: int | Mapping[str, int] = 8,
    people: int = 2,
    size: Sequence[int] = (48, 64),
    seed: int = 0,
    format: str = "raw",
    annotators: int = 3,
    outside: float = 0.0,
) -> dict[str, list[Picture]]:
    """A folder in GazeFollow's layout; returns what it holds, by split and sorted by path.

    Each picture is dark, with a soft mark centred on the first point of each person, in the channel of that person.

    Args:
        images: how many, in train and half as many in test; or by split, where "val" writes a val file too.
        size: (height, width) of the images in pixels.
        format: "raw" for the annotation text files, "json" for the preprocessed ones.
        annotators: answers per head of the test split; all the same but for a small jitter after the first.
        outside: share of the training heads whose target is not in the frame.
    """
    counts = {"train": images, "test": max(1, images // 2)} if isinstance(images, int) else dict(images)
    random = np.random.default_rng(seed)
    folder = {}
    for split, count in counts.items():
        answers = annotators if split == "test" else 1
        absent = 0.0 if split == "test" else outside
        folder[split] = [_picture(f"{split}/{i:08d}.png", people, size, answers, absent, random) for i in range(count)]
        for picture in folder[split]:
            draw(Path(root) / picture.path, picture)
        write_annotations(root, split, folder[split], format)
    return folder


def write_annotations(root: str | Path, split: str, pictures: Sequence[Picture], format: str = "raw") -> Path:
    """The annotation file of a split, without its images."""
    if format == "json":
        file = Path(root) / f"{split}_preprocessed.json"
        file.write_text(json.dumps([json_record(p) for p in pictures]))
    else:
        file = Path(root) / f"{split}_annotations_release.txt"
        file.write_text("".join(line + "\n" for p in pictures for line in raw_lines(p, test=split == "test")))
    return file


def raw_lines(picture: Picture, test: bool) -> list[str]:
    """The lines of the raw annotations about one image."""
    lines = []
    for number, person in enumerate(picture.people):
        x0, y0, x1, y1 = person.box
        eye = ((x0 + x1) / 2 / picture.width + number * 1.0e-4, (y0 + y1) / 2 / picture.height)
        for gaze in person.points:
            inout = [] if test else [person.inout]
            cells = [picture.path, number, 0.1, 0.1, 0.5, 0.5, *eye, *gaze, *person.box, *inout, "synthetic", "none"]
            lines.append(",".join(map(str, cells)))
    return lines


def json_record(picture: Picture) -> dict:
    """One image as GazeLLE's preprocessing writes it."""
    width, height = picture.width, picture.height
    heads = []
    for number, person in enumerate(picture.people):
        x, y = [p[0] for p in person.points], [p[1] for p in person.points]
        head = {
            "bbox": list(person.box),
            "bbox_norm": [b / s for b, s in zip(person.box, (width, height) * 2, strict=True)],
            "inout": person.inout,
            "gazex": [v * width for v in x],
            "gazey": [v * height for v in y],
            "gazex_norm": x,
            "gazey_norm": y,
            "head_id": number,
        }
        heads.append(head)
    return {"path": picture.path, "heads": heads, "num_heads": len(heads), "width": width, "height": height}


def draw(file: Path, picture: Picture) -> None:
    """Write the image: a soft mark at the first point of each person."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((picture.height, picture.width, 3))
    for number, person in enumerate(picture.people):
        if person.inout:
            pixels[..., number % COLOURS] += mark(person.points[0], picture.height, picture.width)
    Image.fromarray((255 * pixels).clip(0, 255).round().astype(np.uint8)).save(file)


def mark(point: Sequence[float], height: int, width: int) -> np.ndarray:
    """A Gaussian of peak 1 around a point given as fractions; pixel centres are at half-integers."""
    x = np.arange(width) + 0.5 - point[0] * width
    y = np.arange(height) + 0.5 - point[1] * height
    return np.exp(-(x[None] ** 2 + y[:, None] ** 2) / (2 * MARK_SIGMA**2))


def mark_centre(channel: torch.Tensor) -> tuple[float, float]:
    """Where the mark in one channel (height x width) of an image is, as fractions: its centre of mass."""
    weight = channel.double()
    height, width = weight.shape
    x = (weight.sum(0) * (torch.arange(width) + 0.5)).sum() / weight.sum() / width
    y = (weight.sum(1) * (torch.arange(height) + 0.5)).sum() / weight.sum() / height
    return x.item(), y.item()


def _picture(
    path: str, people: int, size: Sequence[int], answers: int, absent: float, random: np.random.Generator
) -> Picture:
    height, width = size
    margin = 4 * MARK_SIGMA / min(size)  # the whole mark is in the picture
    members = []
    for _ in range(people):
        box_width, box_height = random.uniform(0.15, 0.3, 2) * (width, height)
        x0, y0 = random.uniform(0, 1, 2) * (width - box_width, height - box_height)
        box = tuple(round(float(v), 3) for v in (x0, y0, x0 + box_width, y0 + box_height))
        target = random.uniform(margin, 1 - margin, 2)
        inside = random.random() >= absent
        points = [target, *(target + random.normal(0, 0.005, (answers - 1, 2)))] if inside else [(-1.0, -1.0)]
        members.append(Person(box, tuple((float(x), float(y)) for x, y in points), int(inside)))
    return Picture(path, height, width, tuple(members))
