"""Mirrors and rolls of the camera: picture, boxes, landmarks, movement and labels change together.

Nothing is drawn but from the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch

from gaze.datasets.scene import probable
from gaze.datasets.screen_turns import mirrored, quarter_turned, rolled
from gaze.datasets.screen_view import ScreenView


class Flip:
    """A mirror: left and right trade places, the user's eyes and a landscape device's orientation with them.

    Args:
        probability: share of the samples that are mirrored.
    """

    acts_on: ClassVar[str] = "crops"

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("Flip.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        return mirrored(view) if _drawn(generator) < self.probability else view


class UpsideDown:
    """What a camera that is mounted upside-down sees, with labels in its own axes; the user's eyes stay what they are.

    For apps whose camera is below the screen and which turn neither the frames nor the labels. GazeCapture's
    frames are upright.

    Args:
        probability: share of the samples that are turned by 180 degrees.
    """

    acts_on: ClassVar[str] = "crops"

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("UpsideDown.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        return quarter_turned(view, 2) if _drawn(generator) < self.probability else view


class QuarterTurn:
    """What a sensor sees that is not turned with its device: 90 degrees to either side, labels in the sensor's axes.

    Args:
        probability: share of the samples that are turned; half of them to the left. Samples must be square.
    """

    acts_on: ClassVar[str] = "crops"

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("QuarterTurn.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        decision, side = torch.rand(2, generator=generator).tolist()
        return quarter_turned(view, 1 if side < 0.5 else 3) if decision < self.probability else view


class Roll:
    """A small roll of the camera. It turns the frame about its centre, as only then the labels stay exact.

    Before anything that cuts or turns pixels it costs one interpolation. With crops instead of frames, what a
    crop's corners lack is repeated from its border. The screen's size in the targets stays that of the device.

    Args:
        degrees: the angle is drawn from -degrees to degrees; at most 45, 5 is usual.
        probability: share of the samples that are rolled.
    """

    acts_on: ClassVar[str] = "boxes"

    def __init__(self, degrees: float = 5.0, probability: float = 0.5) -> None:
        if not 0.0 <= degrees <= 45.0:
            raise ValueError(f"Roll.degrees is {degrees}; expected an angle from 0 to 45 degrees")
        self.degrees = float(degrees)
        self.probability = probable("Roll.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        decision, strength = torch.rand(2, generator=generator).tolist()
        angle = math.radians((2 * strength - 1) * self.degrees)
        return rolled(view, angle) if decision < self.probability and angle else view


class LabelNoise:
    """Normal noise on the point, for labels that are only as good as where a user's finger or eye was.

    Args:
        sigma_cm: standard deviation in x and in y.
    """

    acts_on: ClassVar[str] = "labels"

    def __init__(self, sigma_cm: float = 0.1) -> None:
        if not sigma_cm >= 0.0:
            raise ValueError(f"LabelNoise.sigma_cm is {sigma_cm}; expected a length from 0 on")
        self.sigma_cm = float(sigma_cm)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        point = view.targets.point + self.sigma_cm * torch.randn(2, generator=generator)
        return replace(view, targets=replace(view.targets, point=point))


def _drawn(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()
