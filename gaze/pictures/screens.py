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

from gaze.pictures.canvas import Canvas, Colour
from gaze.pictures.sheet import fit, sheet
from gaze.recordings.sample import Picture, ScreenSample

PAPER, GLASS, DOT, CAMERA = 250, Colour(52, 60, 74), Colour(255, 196, 61), Colour(120, 128, 140)
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
    canvas = Canvas(torch.full((3, height, height), PAPER, dtype=torch.uint8))
    if sample.screen_cm is None or sample.gaze_screen_cm is None or sample.gaze_cam_cm is None:
        return canvas.pixels
    scale = height / 2 / REACH_CM
    (width_cm, height_cm), (x, y) = sample.screen_cm, sample.gaze_screen_cm
    # The camera is in the middle, and sees on its right what the user has on their left
    left = height / 2 - scale * (sample.gaze_cam_cm[0] + width_cm - x)
    top = height / 2 - scale * (sample.gaze_cam_cm[1] + y)
    canvas.plate((left, top, left + scale * width_cm, top + scale * height_cm), 0.03 * height, GLASS)
    middle = (height / 2, height / 2)
    canvas.ring(middle, 0.01 * height, 0.02 * height, CAMERA)
    dot = (left + scale * (width_cm - x), top + scale * y)
    canvas.ring(dot, 0.015 * height, 0.03 * height, DOT)
    return canvas.pixels


def _caption(sample: ScreenSample) -> str:
    if sample.gaze_cam_cm is None:
        return sample.sample_id
    x, y = sample.gaze_cam_cm
    return f"{sample.device or ''} {sample.orientation}   {x:+.1f}, {y:+.1f} cm"


def _read(picture: Picture) -> UInt8[Tensor, "3 H W"]:
    with Image.open(picture if isinstance(picture, Path) else BytesIO(picture)) as image:
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
