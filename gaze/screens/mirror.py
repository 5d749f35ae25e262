"""A batch of screen inputs as a mirror would show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.landmarks.mirror import mirror_landmarks
from gaze.landmarks.points import DEFAULT
from gaze.types import ScreenInputs

ACROSS = (-1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, 1.0)  # arrows lose their x; rates of rotation keep only theirs


def mirrored_inputs(inputs: ScreenInputs, points: Sequence[int] = DEFAULT) -> ScreenInputs:
    """The inputs of the mirrored user, whose point of gaze is (-x, y): eyes trade places, and landscape its side.

    Args:
        points: which of MediaPipe's landmarks the inputs hold, if they hold any.

    Raises:
        ValueError: a landmark is there without its partner.
    """
    landmarks, imu, held = inputs.landmarks, inputs.imu, inputs.orientation
    return replace(
        inputs,
        face=_flipped(inputs.face),
        left_eye=_flipped(inputs.right_eye),
        right_eye=_flipped(inputs.left_eye),
        geometry=None if inputs.geometry is None else _boxes(inputs.geometry),
        landmarks=None if landmarks is None else mirror_landmarks(landmarks, points),
        imu=None if imu is None else imu * imu.new_tensor(ACROSS),
        orientation=None if held is None else torch.where(held >= 3, 7 - held, held),
    )


def _flipped(image: Tensor | None) -> Tensor | None:
    return None if image is None else image.flip(-1)


def _boxes(geometry: Float[Tensor, "*b 12"]) -> Float[Tensor, "*b 12"]:
    face, left, right = (
        torch.cat([1 - box[..., :1] - box[..., 2:3], box[..., 1:]], -1) for box in geometry.split(4, -1)
    )
    return torch.cat([face, right, left], -1)
