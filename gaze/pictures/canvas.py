"""Antialiased drawing on photographs of any size: lines, boxes, discs, rings, tints and text."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import hypot
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Point = tuple[float, float]  # x, y in pixels; (0, 0) is the top left corner of the top left pixel
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels
Distance = Callable[[Tensor, Tensor], Tensor]  # x, y -> pixels to the border of a shape, negative inside it


class Colour(NamedTuple):
    """8-bit sRGB."""

    red: int
    green: int
    blue: int

    @property
    def bright(self) -> bool:
        """Is black text on it easier to read than white?"""
        return 0.299 * self.red + 0.587 * self.green + 0.114 * self.blue > 115


BLACK, WHITE = Colour(0, 0, 0), Colour(255, 255, 255)


class Canvas:
    """A copy of a picture to draw on.

    A shape is given by the distance of each pixel's centre to its border, from which the part of the
    pixel that it covers follows: edges are smooth without drawing at several times the size, only the
    pixels near a shape are touched, and where nothing is drawn the picture stays what it was.
    """

    def __init__(self, image: UInt8[Tensor, "3 H W"]) -> None:
        self.pixels = image.clone(memory_format=torch.contiguous_format)

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]

    def tint(self, strength: Float[Tensor, "H W"], colour: Colour) -> None:
        """Mix a colour into the picture: not at all where the strength is 0, alone where it is 1."""
        self._mix(slice(None), slice(None), strength, colour)

    def shade(self, corner: tuple[int, int], strength: Float[Tensor, "h w"], colour: Colour) -> None:
        """Mix a colour, as `tint` does, into the part of the picture whose left top pixel is `corner`, (x, y)."""
        (left, top), (height, width) = corner, strength.shape
        rows, columns = _span(top, height, self.height), _span(left, width, self.width)
        seen = strength[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        self._mix(rows, columns, seen, colour)

    def line(self, start: Point, end: Point, width: float, colour: Colour, opacity: float = 1.0) -> None:
        """A straight line with round ends."""
        (x0, y0), (x1, y1) = start, end
        dx, dy = x1 - x0, y1 - y0
        square = max(dx * dx + dy * dy, 1e-12)

        def distance(x: Tensor, y: Tensor) -> Tensor:
            along = (((x - x0) * dx + (y - y0) * dy) / square).clamp(0, 1)
            return torch.hypot(x - x0 - along * dx, y - y0 - along * dy) - width / 2

        self._paint((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), width / 2, distance, colour, opacity)

    def frame(self, box: Box, radius: float, width: float, colour: Colour, opacity: float = 1.0) -> None:
        """The outline of a box with round corners, centred on its edges."""
        shape = _rounded(box, radius)
        self._paint(box, width / 2, lambda x, y: shape(x, y).abs() - width / 2, colour, opacity)

    def plate(self, box: Box, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        """A filled box with round corners."""
        self._paint(box, 0.0, _rounded(box, radius), colour, opacity)

    def disc(self, centre: Point, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        """A filled circle."""
        x0, y0 = centre
        self._paint((x0, y0, x0, y0), radius, lambda x, y: torch.hypot(x - x0, y - y0) - radius, colour, opacity)

    def ring(self, centre: Point, radius: float, width: float, colour: Colour, opacity: float = 1.0) -> None:
        """A hollow circle; the line is centred on the radius."""
        x0, y0 = centre

        def distance(x: Tensor, y: Tensor) -> Tensor:
            return (torch.hypot(x - x0, y - y0) - radius).abs() - width / 2

        self._paint((x0, y0, x0, y0), radius + width / 2, distance, colour, opacity)

    def text(self, corner: Point, text: str, size: float, colour: Colour) -> None:
        """One line of text, its top left at `corner`, `size` pixels from one line to the next."""
        width, height = text_size(text, size)
        left, top = round(corner[0]), round(corner[1])
        image = Image.new("L", (int(width) + 2, int(height) + 2))
        ImageDraw.Draw(image).text((0, 0), text, fill=255, font=_font(size))
        self.shade((left, top), torch.from_numpy(np.array(image)).float() / 255, colour)

    def _paint(self, bounds: Box, margin: float, distance: Distance, colour: Colour, opacity: float) -> None:
        x0, y0, x1, y1 = bounds
        columns = slice(max(0, int(x0 - margin - 1)), max(0, min(self.width, int(x1 + margin + 2))))
        rows = slice(max(0, int(y0 - margin - 1)), max(0, min(self.height, int(y1 + margin + 2))))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        x = torch.arange(columns.start, columns.stop)[None] + 0.5
        y = torch.arange(rows.start, rows.stop)[:, None] + 0.5
        self._mix(rows, columns, (0.5 - distance(x, y)).clamp(0, 1) * opacity, colour)

    def _mix(self, rows: slice, columns: slice, share: Tensor, colour: Colour) -> None:
        patch = self.pixels[:, rows, columns].float()
        mixed = torch.lerp(patch, torch.tensor(colour, dtype=torch.float32)[:, None, None], share)
        self.pixels[:, rows, columns] = mixed.round().clamp(0, 255).to(torch.uint8)


def dashes(start: Point, end: Point, length: float) -> list[tuple[Point, Point]]:
    """Both ends of each dash of a line; dashes and gaps are about `length` pixels long."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    pieces = 2 * max(1, round((hypot(dx, dy) / length + 1) / 2)) - 1

    def at(piece: int) -> Point:
        return start[0] + dx * piece / pieces, start[1] + dy * piece / pieces

    return [(at(piece), at(piece + 1)) for piece in range(0, pieces, 2)]


def text_size(text: str, size: float) -> tuple[float, float]:
    """(width, height) in pixels of one line of text."""
    font = _font(size)
    if isinstance(font, ImageFont.FreeTypeFont):
        ascent, descent = font.getmetrics()
        return font.getlength(text), float(ascent + descent)
    left, top, right, bottom = font.getbbox(text)  # a Pillow without FreeType has one small font
    return right - left, bottom - top


def shortened(text: str, size: float, width: float) -> str:
    """The end of the text, if all of it is wider than `width` pixels: a path is told by its end."""
    if text_size(text, size)[0] <= width:
        return text
    start = next((i for i in range(1, len(text)) if text_size("…" + text[i:], size)[0] <= width), len(text))
    return "…" + text[start:]


@lru_cache(maxsize=32)
def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _rounded(box: Box, radius: float) -> Distance:
    x0, y0, x1, y1 = box
    radius = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        right = (x - (x0 + x1) / 2).abs() - (x1 - x0) / 2 + radius
        down = (y - (y0 + y1) / 2).abs() - (y1 - y0) / 2 + radius
        inside = torch.maximum(right, down).clamp(max=0)
        return torch.hypot(right.clamp(min=0), down.clamp(min=0)) + inside - radius

    return distance


def _span(start: int, length: int, limit: int) -> slice:
    first = min(max(start, 0), limit)
    return slice(first, max(first, min(start + length, limit)))
