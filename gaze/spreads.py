"""Normal distributions of pitch and yaw: what standard deviations of both angles say of shares and of the sphere."""

from __future__ import annotations

from statistics import NormalDist

import torch
from jaxtyping import Float
from torch import Tensor

LEAST = 0.05  # of the cosine of a pitch that deviations are divided by; from 87 degrees up or down on, yaw says little


def half_width(share: float) -> float:
    """How many standard deviations to both sides of the mean hold a share of a normal distribution: 1.28 hold 80 %."""
    return NormalDist().inv_cdf((1 + share) / 2)


def on_sphere(spread: Float[Tensor, "*b 2"], gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 2"]:
    """Deviations of pitch and yaw as angles between directions: yaw's times the cosine of the pitch."""
    pitch, yaw = spread.unbind(-1)
    return torch.stack([pitch, yaw * cosine_of_pitch(gaze)], -1)


def of_angles(spread: Float[Tensor, "*b 2"], gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 2"]:
    """The inverse of `on_sphere`."""
    pitch, yaw = spread.unbind(-1)
    return torch.stack([pitch, yaw / cosine_of_pitch(gaze)], -1)


def cosine_of_pitch(gaze: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Of directions of any length but 0; at least `LEAST`."""
    x, y, z = gaze.square().unbind(-1)
    return ((x + z) / (x + y + z).clamp(min=1e-24)).sqrt().clamp(min=LEAST)
