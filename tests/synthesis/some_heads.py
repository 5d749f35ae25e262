"""Heads in front of a camera, for tests of what is rendered from them."""

from __future__ import annotations

import torch

from gaze.synthesis.draws import Draws
from gaze.synthesis.head_anatomy import EXPRESSION, IDENTITY, MOVING, PERSONAL
from gaze.types import FaceInputs


def some_heads(count=1, size=48, seed=None, **changes):
    """Average heads that face the camera and look at it, or ones that differ in everything if there is a seed."""
    doubles = {"dtype": torch.float64}
    world_to_camera = torch.diag(torch.tensor([1.0, -1, -1, 1], **doubles)).repeat(count, 1, 1)
    world_to_camera[:, 2, 3] = 8
    camera = torch.tensor([[3.2 * size, 0, size / 2], [0, 3.2 * size, size / 2], [0, 0, 1]], **doubles)
    values = {
        "gaze": torch.zeros(count, 2, **doubles),
        "identity": torch.zeros(count, IDENTITY, **doubles),
        "expression": torch.zeros(count, EXPRESSION, **doubles),
        "pose": torch.zeros(count, 6, **doubles),
        "scale": torch.ones(count, **doubles),
        "world_to_camera": world_to_camera,
        "camera": camera.repeat(count, 1, 1),
        "sample": torch.full((count,), -1),
    }
    if seed is not None:
        draws = Draws(seed, "heads", range(count))
        values["identity"][:, :PERSONAL] = draws.normal(PERSONAL).clamp(-2, 2)
        values["expression"][:, :MOVING] = draws.uniform(-1, 1, MOVING)
        values["gaze"] = draws.uniform(-0.5, 0.5, 2)
        values["pose"] = 0.3 * draws.uniform(-1, 1, 6)
    return FaceInputs(**{**values, **{name: torch.as_tensor(value, **doubles) for name, value in changes.items()}})


def posed(*turn, place=(0, 0, 0)):
    """The pose of one head."""
    return [[*turn, *place]]
