"""Which points of a head follow its expression, its pose or its gaze: those near landmarks, all others, those near eyes."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

LEFT_EYE, RIGHT_EYE = (
    slice(36, 42),
    slice(42, 48),
)  # of 68 landmarks, or of 66 without the mouth's corners; as pictures show them
EYES = slice(36, 48)
AT_ONCE = 1 << 22  # distances in memory
NEAR, FAR = 0.1, 0.25  # squared canonical units, as the released weights mean them: radii 0.32 and 0.5


def nearest(points: Float[Tensor, "g 3"], landmarks: Float[Tensor, "l 3"]) -> Float[Tensor, "g"]:
    """Squared distances to the nearest landmark."""
    pieces = points.split(max(1, AT_ONCE // len(landmarks)))
    return torch.cat([torch.cdist(piece, landmarks).amin(1).square() for piece in pieces])


def closeness(square: Float[Tensor, "g"], near: float = NEAR, far: float = FAR) -> Float[Tensor, "g"]:
    """1 up to the squared distance `near`, 0 from `far` on, and straight between."""
    return ((far - square) / (far - near)).clamp(0, 1)


def eye_points(points: Float[Tensor, "g 3"], landmarks: Float[Tensor, "6 3"], share: float = 0.005) -> Int[Tensor, "e"]:
    """Numbers of the points of one eye: whose squared distances are among the first `share` of their range."""
    square = nearest(points, landmarks)
    return torch.nonzero(square <= square.amin() + share * (square.amax() - square.amin()))[:, 0]
