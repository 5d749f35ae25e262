"""Samples of screen recordings as people see them: face, eyes, and the point looked at on a drawing of the screen."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from gaze.pictures.canvas import Box, Canvas, Colour, Point
from gaze.pictures.sheet import fit, sheet
from gaze.recordings.sample import Picture, ScreenSample

PAPER, GLASS, DOT, CAMERA = 250, Colour(52, 60, 74), Colour(255, 196, 61), Colour(120, 128, 140)
GUESS = Colour(86, 180, 233)
REACH_CM = 22.0  # of the drawing of a screen, on each side: the largest tablet fits, whichever way it is held


def screen_sheet(
    samples: Sequence[ScreenSample], title: str = "", height: int = 192, columns: int | None = None
) -> UInt8[Tensor, "3 H W"]:
    """One sheet of samples that hold crops; `height` is that of the faces, px.

    Eyes are shown as they lie in the picture, so that the user's right eye is on the left. The screen is drawn in the
    picture's own directions, the reverse of the user's: eyes turn to where the dot is from the camera, a grey ring.
    """
    return sheet([_drawn(s, height) for s in samples], [_caption(s) for s in samples], title, columns)


def _drawn(sample: ScreenSample, height: int) -> UInt8[Tensor, "3 h w"]:
    crops = (sample.face, sample.right_eye, sample.left_eye)
    if any(crop is None for crop in crops):
        raise ValueError(f"{sample.sample_id} lacks a crop of its face or eyes; expected all three")
    face, right, left = (fit(_read(crop), height) for crop in crops if crop is not None)
    return torch.cat([face, right, left, _screen(sample, height)], 2)


def _screen(sample: ScreenSample, height: int) -> UInt8[Tensor, "3 h h"]:
    if sample.screen_cm is None or sample.gaze_screen_cm is None or sample.gaze_cam_cm is None:
        return torch.full((3, height, height), PAPER, dtype=torch.uint8)
    (width_cm, height_cm), (x, y) = sample.screen_cm, sample.gaze_screen_cm
    left, top = sample.gaze_cam_cm[0] - x, sample.gaze_cam_cm[1] + y
    return screen_drawing(height, REACH_CM, sample.gaze_cam_cm, (left, top, left + width_cm, top - height_cm))


def screen_drawing(
    side: int, reach_cm: float, truth: Point, screen: Box | None = None, point: Point | None = None
) -> UInt8[Tensor, "3 s s"]:
    """A screen with the point looked at on it, as the camera in its middle would draw it: what users have on their right
    is on the left.

    Args:
        side: of the square drawing, px.
        reach_cm: from the camera to each edge of the drawing.
        truth, point: the point looked at, and that predicted, if any: then the true one is a ring and this a dot. cm from
            the camera, x right and y up as users see the device.
        screen: its left, upper, right and lower edge, likewise; None where it is not known.
    """
    canvas = Canvas(torch.full((3, side, side), PAPER, dtype=torch.uint8))
    scale = side / 2 / reach_cm

    def place(x: float, y: float) -> Point:
        return side / 2 - scale * x, side / 2 - scale * y

    if screen is not None:
        left, upper, right, lower = screen
        canvas.plate((*place(right, upper), *place(left, lower)), 0.03 * side, GLASS)
    canvas.ring(place(0.0, 0.0), 0.01 * side, 0.02 * side, CAMERA)
    if point is None:
        canvas.disc(place(*truth), 0.03 * side, DOT)
        return canvas.pixels
    canvas.line(place(*truth), place(*point), 0.01 * side, CAMERA)
    canvas.ring(place(*truth), 0.035 * side, 0.015 * side, DOT)
    canvas.disc(place(*point), 0.022 * side, GUESS)
    return canvas.pixels


def _caption(sample: ScreenSample) -> str:
    if sample.gaze_cam_cm is None:
        return sample.sample_id
    x, y = sample.gaze_cam_cm
    return f"{sample.device or ''} {sample.orientation}   {x:+.1f}, {y:+.1f} cm"


def _read(picture: Picture) -> UInt8[Tensor, "3 H W"]:
    with Image.open(picture if isinstance(picture, Path) else BytesIO(picture)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
