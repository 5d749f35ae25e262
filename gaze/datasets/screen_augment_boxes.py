"""Errors of the detector: boxes move, the geometry that the model is told moves with them, and the label does not."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch

from gaze.datasets.scene import probable
from gaze.datasets.screen_view import STREAMS, ScreenView


class BoxJitter:
    """Each stream's box shifted by itself. Put it before what needs pixels, so that they are cut once.

    From a whole frame the crop shows what is really there; from a stored crop without a margin its border repeats.

    Args:
        face, eye: the furthest a box moves, as a fraction of its sides.
        probability: share of the boxes that are moved.
    """

    acts_on: ClassVar[str] = "boxes"

    def __init__(self, face: float = 0.05, eye: float = 0.05, probability: float = 1.0) -> None:
        for name, value in (("face", face), ("eye", eye)):
            if not 0.0 <= value < 0.5:
                raise ValueError(f"BoxJitter.{name} is {value}; expected a fraction of the box, from 0 to below 0.5")
        self.face, self.eye = float(face), float(eye)
        self.probability = probable("BoxJitter.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        draws = torch.rand(len(STREAMS), 3, generator=generator).tolist()
        boxes = dict(view.boxes)
        for stream, (decision, right, down) in zip(STREAMS, draws, strict=True):
            if stream in boxes and decision < self.probability:
                x, y, w, h = boxes[stream]
                most = self.face if stream == "face" else self.eye
                boxes[stream] = (x + (2 * right - 1) * most * w, y + (2 * down - 1) * most * h, w, h)
        return replace(view, boxes=boxes)


class ScaleJitter:
    """Each stream's box larger or smaller about its middle, by itself.

    Args:
        amount: sides are multiplied by 1 - amount to 1 + amount.
        aspect: height over width is multiplied by 1 / (1 + aspect) to 1 + aspect, evenly in its logarithm; the area stays.
        probability: share of the boxes that are changed.
    """

    acts_on: ClassVar[str] = "boxes"

    def __init__(self, amount: float = 0.1, probability: float = 1.0, aspect: float = 0.0) -> None:
        for name, value in (("amount", amount), ("aspect", aspect)):
            if not 0.0 <= value < 1.0:
                raise ValueError(f"ScaleJitter.{name} is {value}; expected a fraction of the box, from 0 to below 1")
        self.amount, self.aspect = float(amount), float(aspect)
        self.probability = probable("ScaleJitter.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        draws = torch.rand(len(STREAMS), 3, generator=generator).tolist()
        boxes = dict(view.boxes)
        for stream, (decision, strength, shape) in zip(STREAMS, draws, strict=True):
            if stream in boxes and decision < self.probability:
                x, y, w, h = boxes[stream]
                factor = 1 + (2 * strength - 1) * self.amount
                stretch = (1 + self.aspect) ** (shape - 0.5)  # its square is the change of height over width
                wide, high = w * factor / stretch, h * factor * stretch
                boxes[stream] = (x + (w - wide) / 2, y + (h - high) / 2, wide, high)
        return replace(view, boxes=boxes)
