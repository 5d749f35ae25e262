"""A scene with what a model says about it: each person's head, heatmap and gaze point in one colour."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.pictures.canvas import BLACK, WHITE, Box, Canvas, Colour, Point, dashes, text_size
from gaze.pictures.directions import draw_direction

# Okabe and Ito (2008): told apart with every common colour blindness. Ordered so that neighbours differ most,
# and those close to skin come late. From the eighth person on they repeat; labels carry numbers.
COLOURS = (
    Colour(86, 180, 233),
    Colour(230, 159, 0),
    Colour(0, 158, 115),
    Colour(204, 121, 167),
    Colour(240, 228, 66),
    Colour(0, 114, 178),
    Colour(213, 94, 0),
)
OPACITY = 0.62  # of a heatmap's peak
FLAT = 0.1  # a heatmap whose peak is less than this probability above the rest is shown that much fainter
SHADOW = 0.5  # opacity of the dark edge that keeps lines visible on bright pictures


class Arrow(NamedTuple):
    """Somebody's gaze in 3D; see `gaze.pictures.directions.draw_direction`."""

    origin: Point
    gaze: Float[Tensor, "3"]  # as the picture shows it: (0, 0, -1) looks into the camera
    length: float  # px, of gaze in the picture's plane
    cone_rad: float | None = None


def draw_scene(
    image: UInt8[Tensor, "3 H W"],
    head_bbox: Float[Tensor, "n 4"],
    heatmap: Float[Tensor, "n h w"] | None = None,
    points: Float[Tensor, "n 2"] | None = None,
    true_points: Float[Tensor, "n a 2"] | None = None,
    inout: Float[Tensor, "n"] | None = None,
    opacity: float = OPACITY,
    persons: Sequence[int] | None = None,
    arrows: Sequence[Arrow | None] | None = None,
    notes: Sequence[str] | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """The picture with n people marked in it, at its own size; boxes and points are fractions of it.

    A line leads from each head to a dot where the person looks; a ring is where annotators say so. The
    line is dashed and the dot hollow where the model thinks that the target is not in the frame.

    Args:
        head_bbox: a row of NaN (no prompt) has no box, no line and a dot alone.
        heatmap: probabilities on the CPU. Shown is what stands out from each map's median, relative to its
            own peak, so that a weak one is seen too; one that is the same everywhere leaves the picture alone.
        true_points: one per annotator; NaN where there is none.
        inout: probability that the target is in the frame.
        opacity: of a heatmap's peak, from 0 to 1.
        persons: numbers of the people, which their labels say and their colours follow; None: 1, 2, ..., which
            the label of somebody alone leaves out.
        arrows: directions of the people, drawn with their cones; None: that of this person is not known.
        notes: what else their labels say.
    """
    canvas = Canvas(image)
    pen = _Pen(canvas)
    numbers = range(1, len(head_bbox) + 1) if persons is None else persons
    colours = [colour_of(number - 1) for number in numbers]
    alone = persons is None and len(head_bbox) == 1
    labels = ["" if alone else str(number) for number in numbers]
    for i in range(len(head_bbox)):
        if heatmap is not None and opacity > 0:
            canvas.tint(opacity * _glow(heatmap[i], canvas.height, canvas.width), colours[i])
    heads = [pen.box(head_bbox[i]) for i in range(len(head_bbox))]
    outside = [inout is not None and float(inout[i]) < 0.5 for i in range(len(heads))]
    for i, head in enumerate(heads):
        if head is not None and points is not None:
            pen.line(head, pen.point(points[i]), colours[i], outside[i])
    for arrow, colour in zip(arrows or (), colours, strict=False):
        if arrow is not None:
            width = max(pen.width, arrow.length / 50)
            draw_direction(canvas, arrow.origin, arrow.gaze, arrow.length, colour, width, arrow.cone_rad)
    for i, head in enumerate(heads):
        if head is not None:
            pen.head(head, colours[i])
        said = (labels[i], _verdict(None if inout is None else float(inout[i])), notes[i] if notes else "")
        pen.label(head, "   ".join(part for part in said if part), colours[i])
    for i in range(len(heads)):  # last, so that nothing hides what the picture is about
        for true in [] if true_points is None else true_points[i]:
            if true.isfinite().all():
                pen.target(pen.point(true), colours[i])
        if points is not None:
            pen.dot(pen.point(points[i]), colours[i], outside[i])
    return canvas.pixels


def colour_of(person: int) -> Colour:
    """The colour of person 0, 1, ..."""
    return COLOURS[person % len(COLOURS)]


class _Pen:
    """Draws the parts of a scene, at widths that suit the size of the picture."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        side = sqrt(canvas.height * canvas.width)
        self.width = max(1.5, side / 260)
        self.shadow = self.width + max(1.2, 0.7 * self.width)
        self.radius = 2.4 * self.width
        self.text = max(11.0, side / 42)

    def point(self, fractions: Tensor) -> Point:
        x, y = fractions.tolist()
        return x * self.canvas.width, y * self.canvas.height

    def box(self, fractions: Tensor) -> Box | None:
        if not fractions.isfinite().all():
            return None
        x0, y0, x1, y1 = fractions.tolist()
        return x0 * self.canvas.width, y0 * self.canvas.height, x1 * self.canvas.width, y1 * self.canvas.height

    def head(self, box: Box, colour: Colour) -> None:
        self.canvas.frame(box, 2 * self.width, self.shadow, BLACK, SHADOW)
        self.canvas.frame(box, 2 * self.width, self.width, colour)

    def line(self, head: Box, end: Point, colour: Colour, dashed: bool) -> None:
        start = _leaving(head, end, self.width)
        if start is None:
            return
        strokes = dashes(start, end, 5 * self.width) if dashed else [(start, end)]
        for a, b in strokes:
            self.canvas.line(a, b, self.shadow, BLACK, SHADOW)
        for a, b in strokes:
            self.canvas.line(a, b, self.width, colour)

    def dot(self, centre: Point, colour: Colour, hollow: bool) -> None:
        self.canvas.disc(centre, self.radius + 0.9 * self.width, BLACK, SHADOW)
        self.canvas.disc(centre, self.radius + 0.5 * self.width, WHITE)
        self.canvas.disc(centre, self.radius, colour)
        if hollow:
            self.canvas.disc(centre, 0.55 * self.radius, WHITE)

    def target(self, centre: Point, colour: Colour) -> None:
        radius = 1.9 * self.radius
        self.canvas.ring(centre, radius, 2.6 * self.width, BLACK, SHADOW)
        self.canvas.ring(centre, radius, 2.0 * self.width, WHITE)
        self.canvas.ring(centre, radius, 1.1 * self.width, colour)

    def label(self, head: Box | None, text: str, colour: Colour) -> None:
        if not text:
            return
        width, height = text_size(text, self.text)
        wide, high = width + 0.8 * self.text, height + 0.15 * self.text
        x0, y0, _, y1 = head or (0.0, 0.0, 0.0, 0.0)
        left = min(max(x0 - self.width / 2, 0), max(0, self.canvas.width - wide))
        above, below = y0 - self.shadow - high, y1 + self.shadow
        top = above if above >= 0 else below if below + high <= self.canvas.height else max(0, y0)
        self.canvas.plate((left, top, left + wide, top + high), 0.3 * self.text, colour, 0.92)
        self.canvas.text((left + 0.4 * self.text, top + 0.08 * self.text), text, self.text, _ink(colour))


def _glow(heatmap: Float[Tensor, "h w"], height: int, width: int) -> Float[Tensor, "H W"]:
    """How much each pixel stands out from the rest of the heatmap, at the size of the picture; 1 at the peak."""
    rest = heatmap.float().median()
    relief = (heatmap.float() - rest) / (heatmap.max() - rest).clamp(min=FLAT)
    smooth = F.interpolate(relief[None, None], (height, width), mode="bicubic", align_corners=False)[0, 0]
    return smooth.clamp(0, 1)


def _leaving(box: Box, end: Point, margin: float) -> Point | None:
    """Where the line from the middle of a box to a point is `margin` away from it; None if the point is closer."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    dx, dy = end[0] - x, end[1] - y
    half_width, half_height = (box[2] - box[0]) / 2 + margin, (box[3] - box[1]) / 2 + margin
    reach = max(abs(dx) / half_width, abs(dy) / half_height)
    return (x + dx / reach, y + dy / reach) if reach > 1 else None


def _verdict(inside: float | None) -> str:
    if inside is None:
        return ""
    return f"in {100 * inside:.0f} %" if inside >= 0.5 else f"out {100 * (1 - inside):.0f} %"


def _ink(paper: Colour) -> Colour:
    return BLACK if paper.bright else WHITE
