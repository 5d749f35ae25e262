"""Where the eyeballs of a neutral head are, and points on them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.avatars.regions import LEFT_EYE, RIGHT_EYE
from gaze.avatars.splats import sphere

INWARD = 0.8  # radii, from the eye's landmarks to its centre


def eye_centres(landmarks: Float[Tensor, "l 3"], radius: float) -> Float[Tensor, "2 3"]:
    """Centres of the eyeballs, left and right as pictures show them: behind the middle of each eye's landmarks.

    Args:
        landmarks: of the neutral head, canonical frame.
        radius: of an eyeball, canonical units.
    """
    middle = torch.stack([landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)])
    return middle - middle.new_tensor([0.0, 0.0, INWARD * radius])


def ball(count: int, radius: float) -> Float[Tensor, "g 3"]:
    """Points of an eyeball about the origin, but for its back, which nothing shows."""
    return radius * sphere(round(count / 0.6) + 1)[:count]
