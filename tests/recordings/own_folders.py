"""Folders of pictures with a CSV file, as people make them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLUMNS = {"subject": "person", "x": "gaze_x", "y": "gaze_y", "image": "image"}
GRID = (-0.9, -0.3, 0.3, 0.9)


def strip(folder: Path, people: Sequence[str] = ("p01", "p02", "p03", "p04"), frames: int = 6, **more) -> Path:
    """Strips whose left half is dark and whose right half is bright, brighter the further right the gaze is.

    `more` are further columns: a value, or a function of person and frame.
    """
    rows = []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for person in people:
        for frame in range(frames):
            x, y = GRID[frame % 4], GRID[(frame + len(rows)) % 4]
            pixels = np.zeros((20, 40, 3), np.uint8)
            pixels[:, :20] = round(40 + 30 * x)
            pixels[:, 20:] = round(200 + 30 * x)
            name = f"images/{len(rows):04d}.png"
            Image.fromarray(pixels).save(folder / name)
            extra = {k: v(person, frame) if callable(v) else v for k, v in more.items()}
            rows.append({"image": name, "person": person, "gaze_x": x, "gaze_y": y, **extra})
    return write(folder, rows)


def write(folder: Path, rows: Sequence[dict]) -> Path:
    """The CSV file of some rows."""
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def broken(folder: Path, line: int, text: str) -> Path:
    """The folder with another text in one line of its file, counted from 1."""
    file = folder / "index.csv"
    lines = file.read_text().splitlines()
    lines[line - 1] = text
    file.write_text("\n".join(lines) + "\n")
    return folder
