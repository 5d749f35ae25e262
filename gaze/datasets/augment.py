"""Geometric augmentations of scenes: image and labels move together, all people of an image at once.

Nothing is drawn but from the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float

from gaze.datasets.scene import Scene, probable


class Crop:
    """A random part of the picture that still holds every head box and every gaze point.

    Works on whole pixels at the native resolution, as a slice, so it costs nothing and belongs before
    the resize. All people of the image share it, and so the more people there are and the further apart
    they and their targets, the less there is to cut away; where nothing is left to choose the picture
    stays whole. GazeLLE crops around one person at a time and lets the right and bottom edges cut
    up to a pixel off the box; ours don't.

    Args:
        probability: share of the samples that are cropped.
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("Crop.probability", probability)

    def __call__(self, scene: Scene, generator: torch.Generator) -> Scene:
        decision, *draws = torch.rand(5, generator=generator).tolist()
        if decision >= self.probability:
            return scene
        height, width = scene.image.shape[-2:]
        heads, points = scene.head_bbox.numpy(), scene.points.numpy()
        x0, y0, x1, y1 = _needed(heads, points)
        left, right = _interval(x0 * width, x1 * width, width, draws[0], draws[1])
        top, bottom = _interval(y0 * height, y1 * height, height, draws[2], draws[3])
        origin = np.array([left / width, top / height] * 2, np.float32)
        scale = np.array([width / (right - left), height / (bottom - top)] * 2, np.float32)
        return Scene(
            image=scene.image[:, top:bottom, left:right],
            head_bbox=torch.from_numpy(((heads - origin) * scale).clip(0.0, 1.0)),
            points=torch.from_numpy(((points - origin[:2]) * scale[:2]).clip(0.0, 1.0)),  # of rounding; NaN stays NaN
        )


class Flip:
    """Left and right exchanged.

    Args:
        probability: share of the samples that are flipped.
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("Flip.probability", probability)

    def __call__(self, scene: Scene, generator: torch.Generator) -> Scene:
        if torch.rand((), generator=generator).item() >= self.probability:
            return scene
        x0, y0, x1, y1 = scene.head_bbox.unbind(-1)
        x, y = scene.points.unbind(-1)
        return Scene(
            image=scene.image.flip(-1),
            head_bbox=torch.stack([1 - x1, y0, 1 - x0, y1], dim=-1),
            points=torch.stack([1 - x, y], dim=-1),
        )


class BoxJitter:
    """Each edge of a head box moved by itself, as a detector would be wrong; each person by themselves.

    Args:
        amount: the furthest an edge moves, as a fraction of the box's width or height; below 0.5, so
            that opposite edges can't meet. Edges stop at the border of the image.
        probability: share of the heads whose box is moved.
    """

    acts_on: ClassVar[str] = "labels"

    def __init__(self, amount: float = 0.2, probability: float = 0.5) -> None:
        if not 0.0 <= amount < 0.5:
            raise ValueError(f"BoxJitter.amount is {amount}; expected a fraction of the box, from 0 to below 0.5")
        self.amount = float(amount)
        self.probability = probable("BoxJitter.probability", probability)

    def __call__(self, scene: Scene, generator: torch.Generator) -> Scene:
        draws = torch.rand(len(scene.head_bbox), 5, generator=generator)
        moved = draws[:, :1] < self.probability
        extent = (scene.head_bbox[:, 2:] - scene.head_bbox[:, :2]).repeat(1, 2)
        shift = (2 * draws[:, 1:] - 1) * self.amount * extent
        jittered = (scene.head_bbox + shift).clamp(0.0, 1.0)
        return replace(scene, head_bbox=torch.where(moved, jittered, scene.head_bbox))


def _needed(heads: Float[np.ndarray, "n 4"], points: Float[np.ndarray, "n a 2"]) -> list[float]:
    """The smallest box around all boxes and points; NaN if there is none."""
    corners = np.concatenate([heads.reshape(-1, 2), points.reshape(-1, 2)])
    there = corners[~np.isnan(corners).any(axis=1)]
    if not len(there):
        return [math.nan] * 4
    return [*there.min(axis=0).tolist(), *there.max(axis=0).tolist()]


def _interval(low: float, high: float, length: int, draw_low: float, draw_high: float) -> tuple[int, int]:
    """Whole pixels [start, stop) within `length` that hold [low, high], each edge uniform over what is allowed."""
    if math.isnan(low) or math.isnan(high):
        return 0, length
    latest = min(max(math.floor(low), 0), length - 1)
    earliest = min(max(math.ceil(high), latest + 1), length)
    return int(draw_low * (latest + 1)), earliest + int(draw_high * (length - earliest + 1))
