"""Many pictures on one sheet, each with a line of text beneath it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gaze.datasets.image import resize
from gaze.pictures.canvas import Canvas, Colour, shortened

PAPER, INK = 250, Colour(40, 44, 52)


def fit(image: UInt8[Tensor, "3 H W"], height: int, aspect: float | None = None) -> UInt8[Tensor, "3 h w"]:
    """The picture at another height; `aspect` is its true width over height, if that is not its own."""
    own = image.shape[-1] / image.shape[-2]
    return resize(image, (height, max(1, round(height * (aspect or own)))))


def sheet(
    pictures: Sequence[UInt8[Tensor, "3 _ _"]],
    captions: Sequence[str] = (),
    title: str = "",
    columns: int | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """The pictures row by row on light paper, not resized.

    Args:
        pictures: at least one, of any sizes; the widest decides how wide a column is.
        captions: one for each picture, or none; those that are too long lose their beginning.
        title: a line above all.
        columns: None: as many as make the sheet about as wide as it is high, at least 2 if there are several.
    """
    if not pictures or (captions and len(captions) != len(pictures)):
        raise ValueError(f"{len(pictures)} pictures and {len(captions)} captions; expected one picture or more")
    wide, high = (max(p.shape[axis] for p in pictures) for axis in (2, 1))
    columns = columns or min(len(pictures), max(2, ceil((len(pictures) * high / wide) ** 0.5)))
    text = max(12.0, wide / 26)
    gap = round(text)
    line = round(1.5 * text)
    rows = [range(start, min(start + columns, len(pictures))) for start in range(0, len(pictures), columns)]
    heights = [max(pictures[i].shape[1] for i in row) for row in rows]
    below = (line if captions else 0) + gap
    top = gap + (round(2.2 * text) if title else 0)
    paper = torch.full((3, top + sum(heights) + len(rows) * below, gap + columns * (wide + gap)), PAPER).byte()
    canvas = Canvas(paper)
    canvas.text((gap, gap), shortened(title, 1.25 * text, paper.shape[2] - 2 * gap), 1.25 * text, INK)
    for row, height in zip(rows, heights, strict=True):
        for place, i in enumerate(row):
            left, h, w = gap + place * (wide + gap), *pictures[i].shape[1:]
            at = top + height - h  # pictures of a row stand on one line, above their captions
            canvas.pixels[:, at : at + h, left : left + w] = pictures[i]
            if captions:
                canvas.text((left, top + height + 0.2 * text), shortened(captions[i], text, wide), text, INK)
        top += height + below
    return canvas.pixels


def save_picture(picture: UInt8[Tensor, "3 H W"], path: str | os.PathLike[str]) -> None:
    """Write an image file, whole or not at all; the name's ending decides the format. Its folder is made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".writing-{path.name}")
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    image.save(aside, quality=95)  # formats without loss pass over it
    os.replace(aside, path)
