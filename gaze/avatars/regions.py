"""Which points of a head follow its expression, its pose or its gaze: those near landmarks, all others, those near eyes."""

from __future__ import annotations

from typing import NamedTuple

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
METRICS = {"squared": (NEAR, FAR), "euclidean": (0.15, 0.25)}  # what of distances is compared, and with which limits


class Regions(NamedTuple):
    """How much each point follows what; 0 to 1, and the first two make 1."""

    shape: Float[Tensor, "g"]  # expression and identity
    pose: Float[Tensor, "g"]
    eye: Float[Tensor, "g"]  # gaze


def nearest(points: Float[Tensor, "g 3"], landmarks: Float[Tensor, "l 3"]) -> Float[Tensor, "g"]:
    """Squared distances to the nearest landmark; with gradients to both, as of that landmark alone."""
    with torch.no_grad():
        pieces = points.split(max(1, AT_ONCE // len(landmarks)))
        number = torch.cat([torch.cdist(piece, landmarks).argmin(1) for piece in pieces])
    return (points - landmarks[number]).square().sum(1)


def closeness(square: Float[Tensor, "g"], near: float = NEAR, far: float = FAR) -> Float[Tensor, "g"]:
    """1 up to the squared distance `near`, 0 from `far` on, and straight between."""
    return ((far - square) / (far - near)).clamp(0, 1)


def near_landmarks(
    points: Float[Tensor, "g 3"], landmarks: Float[Tensor, "l 3"], metric: str = "squared"
) -> Float[Tensor, "g"]:
    """`closeness` of points by one of `METRICS`: squared distances and the released limits, or plain ones and the paper's."""
    square = nearest(points, landmarks)
    distance = square if metric == "squared" else (square + 1e-12).sqrt()  # a gradient where a landmark is a point
    return closeness(distance, *METRICS[metric])


def regions(points: Float[Tensor, "g 3"], landmarks: Float[Tensor, "l 3"], metric: str = "squared") -> Regions:
    """The regions of points, by all landmarks and by those of the eyes; `metric` as for `near_landmarks`."""
    shape = near_landmarks(points, landmarks, metric)
    return Regions(shape, 1 - shape, near_landmarks(points, landmarks[EYES], metric))


def eye_points(points: Float[Tensor, "g 3"], landmarks: Float[Tensor, "6 3"], share: float = 0.005) -> Int[Tensor, "e"]:
    """Numbers of the points of one eye: whose squared distances are among the first `share` of their range."""
    square = nearest(points, landmarks)
    return torch.nonzero(square <= square.amin() + share * (square.amax() - square.amin()))[:, 0]
