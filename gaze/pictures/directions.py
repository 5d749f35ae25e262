"""Gaze directions on a picture: arrows that are as long as the gaze lies in it, and cones of how sure a model is."""

from __future__ import annotations

from math import atan2, ceil, cos, hypot, pi, sin

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.pictures.canvas import BLACK, Canvas, Colour, Point, dashes

TRUTH, GUESS = Colour(255, 196, 61), Colour(86, 180, 233)
SHADOW, CONE = 0.5, 0.35  # opacities of dark edges and of cones
BARB, BARB_ANGLE = 0.3, 0.45  # of an arrow: its head's length, of the whole, and half its opening, radians
MARK = 0.13  # of the length: radius of the sign of an arrow that is too short
SAMPLES = 4  # of a pixel, along each side, that decide how much of it a cone covers


def draw_direction(
    canvas: Canvas,
    origin: Point,
    gaze: Float[Tensor, "3"],
    length: float,
    colour: Colour = GUESS,
    width: float | None = None,
    cone_rad: float | None = None,
) -> None:
    """An arrow from a point on a picture to where (x, y) of the gaze leads from there.

    It is `length` px long for gaze in the picture's plane and shorter for all other; dashed for gaze away from the camera.
    One that is too short to be seen is a ring with a dot, for gaze toward the camera, or with a cross, for gaze away from
    it: the signs of physics for arrows that come out of paper and go into it.

    Args:
        gaze: on the CPU, of any length but zero; see `gaze.geometry`.
        width: of lines, px; None: a 30th of the length.
        cone_rad: half the opening of a cone about the gaze, such as the `gaze.concentration.quantile` that holds 90 % of
            all directions; shaded is where arrows to its directions would lie.
    """
    x, y, z = (gaze.double() / gaze.double().norm()).tolist()
    width = max(1.5, length / 30) if width is None else width
    if cone_rad is not None and cone_rad > 0:
        _draw_cone(canvas, origin, (x, y, z), length, colour, cone_rad)
    tip = origin[0] + length * x, origin[1] + length * y
    mark = MARK * length  # radius of the sign at the origin
    short = length * hypot(x, y) < 1.5 * mark
    lines = [] if short else _arrow(origin, tip, dashed=z > 0, dash=3 * width)
    if short and z > 0:
        lines = _cross(origin, mark * sin(pi / 4))
    for edge, shade, opacity in ((width, BLACK, SHADOW), (0.0, colour, 1.0)):
        for start, end in lines:
            canvas.line(start, end, width + edge, shade, opacity)
        if short:
            canvas.ring(origin, mark, width + edge, shade, opacity)
        if not short or z <= 0:
            canvas.disc(tip if short else origin, 1.2 * width + edge / 2, shade, opacity)


def cone_reach(gaze: tuple[float, float, float], half_rad: float, angle: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """How far from the origin arrows of unit directions within `half_rad` of a unit gaze end, at most, at each angle.

    Args:
        angle: in the picture, radians from x toward y; 0 is returned where there is no such direction.
    """
    x, y, z = gaze
    # Directions at this angle are (sin b, cos b) on (it, toward the camera), b from 0 to pi: those nearest to the gaze
    # are at `middle`, and within the cone as far as `beside` from there.
    along, toward = x * angle.cos() + y * angle.sin(), torch.full_like(angle, -z)
    size, middle = torch.hypot(along, toward), torch.atan2(along, toward)
    ratio = cos(half_rad) / size.clamp(min=1e-12)
    beside = torch.acos(ratio.clamp(-1, 1))
    reach = torch.zeros_like(angle)
    for turn in (0.0, 2 * pi, -2 * pi):
        first, last = (middle + turn - beside).clamp(min=0), (middle + turn + beside).clamp(max=pi)
        furthest = (torch.full_like(angle, pi / 2)).clamp(min=first.clamp(max=pi), max=last.clamp(min=0)).sin()
        reach = torch.where((first <= last) & (ratio <= 1), torch.maximum(reach, furthest), reach)
    return reach


def _draw_cone(
    canvas: Canvas, origin: Point, gaze: tuple[float, float, float], length: float, colour: Colour, half_rad: float
) -> None:
    reach = ceil(length) + 1
    left, top = round(origin[0]) - reach, round(origin[1]) - reach
    places = (torch.arange(2 * reach * SAMPLES) + 0.5) / SAMPLES
    x, y = places[None] + left - origin[0], places[:, None] + top - origin[1]
    inside = torch.hypot(x, y) <= length * cone_reach(gaze, half_rad, torch.atan2(y, x))
    share = inside.float().unflatten(0, (-1, SAMPLES)).unflatten(2, (-1, SAMPLES)).mean((1, 3))
    canvas.shade((left, top), CONE * share, colour)


def _arrow(origin: Point, tip: Point, dashed: bool, dash: float) -> list[tuple[Point, Point]]:
    dx, dy = tip[0] - origin[0], tip[1] - origin[1]
    back, size = atan2(-dy, -dx), BARB * hypot(dx, dy)
    barbs = [(tip[0] + size * cos(back + turn), tip[1] + size * sin(back + turn)) for turn in (-BARB_ANGLE, BARB_ANGLE)]
    return [*(dashes(origin, tip, dash) if dashed else [(origin, tip)]), *((tip, barb) for barb in barbs)]


def _cross(centre: Point, reach: float) -> list[tuple[Point, Point]]:
    (x, y), ends = centre, (-reach, reach)
    return [((x - reach, y - end), (x + reach, y + end)) for end in ends]
