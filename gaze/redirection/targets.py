"""Where a head is to look and to face: angles that a person gives, as inputs of a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError
from gaze.head_frames import gaze_turn
from gaze.rotations import matrix_to_quaternion, quaternion_to_matrix, quaternion_to_vector
from gaze.types import FaceInputs

log = logging.getLogger(__name__)

# Document 003: the original, five gazes and three head poses; degrees, (pitch, yaw)
GAZES = ((0.0, -30.0), (0.0, -15.0), (0.0, 0.0), (0.0, 15.0), (0.0, 30.0))
POSES = ((0.0, -20.0), (0.0, 0.0), (0.0, 20.0))


@dataclass(frozen=True)
class Limits:
    """How far eyes turn in their head, degrees from straight ahead.

    Args:
        pitch, yaw: people reach about 45 aside, 28 up and 47 down (Lee et al., Eye, 2019); beyond, a real head turns along,
            and no picture shows what a model should draw.

    Raises:
        ValueError: one is not between 0 and 90.
    """

    pitch: float = 35.0
    yaw: float = 45.0

    def __post_init__(self) -> None:
        wrong = {name: value for name, value in vars(self).items() if not 0 < value < 90}
        if wrong:
            raise ValueError(f"limits_deg: {wrong}; expected degrees between 0 and 90")

    @property
    def radians(self) -> Float[Tensor, "2"]:
        """Pitch and yaw."""
        return torch.tensor([self.pitch, self.yaw]) * (pi / 180)


def angles(told: Sequence[Any], key: str) -> Float[Tensor, "n 2"]:
    """Pitch and yaw in radians, of pairs of degrees that a person gave.

    Args:
        key: what they are called, for the message.

    Raises:
        UserError: one is no pair of finite numbers, or no turn of a head or an eye.
    """
    for place, pair in enumerate(told):
        numbers = [float(v) for v in pair] if _is_pair(pair) else []
        if len(numbers) != 2 or not all(abs(v) < limit for v, limit in zip(numbers, (90, 180), strict=True)):
            raise UserError(
                f"{key}[{place}] is {pair}; expected [pitch, yaw] in degrees, pitch between -90 and 90, yaw between -180 "
                "and 180; correct it"
            )
    return torch.tensor([[float(v) for v in pair] for pair in told]).reshape(-1, 2) * (pi / 180)


def clamped(gaze: Float[Tensor, "*n 2"], limits: Limits) -> Float[Tensor, "*n 2"]:
    """Gaze in the head, radians, with what eyes can't reach brought to the limit; a warning says from what to what.

    Raises:
        UserError: a number is not finite.
    """
    if not gaze.isfinite().all():
        raise UserError(f"the target gaze has {_told(gaze[~gaze.isfinite().all(-1)])}; expected finite pitch and yaw")
    most = limits.radians.to(gaze)
    inside = gaze.minimum(most).maximum(-most)
    beyond = (inside != gaze).any(-1)
    if beyond.any():
        log.warning(
            "%d of %d target gazes are beyond what eyes reach (pitch %g, yaw %g degrees) and are clamped: %s",
            int(beyond.sum()),
            beyond.numel(),
            limits.pitch,
            limits.yaw,
            "; ".join(f"{_told(a)} to {_told(b)}" for a, b in zip(gaze[beyond][:5], inside[beyond][:5], strict=True)),
        )
    return inside


def looking(inputs: FaceInputs, gaze: Float[Tensor, "n 2"]) -> FaceInputs:
    """One head, a batch of one, with n gazes: pitch and yaw in the head, radians."""
    return replace(repeated(inputs, len(gaze)), gaze=gaze.to(inputs.gaze))


def facing(inputs: FaceInputs, head: Float[Tensor, "n 2"]) -> FaceInputs:
    """One head, a batch of one, turned so that the camera sees it face n directions without a roll.

    It turns about the origin of its own frame: translation, scale, camera and the gaze within the head stay.

    Args:
        head: pitch and yaw in the camera frame, radians, as `gaze.head_frames.camera_head` gives them.
    """
    many = repeated(inputs, len(head))
    return replace(many, pose=torch.cat([turns(many, head.to(inputs.pose)), many.pose[:, 3:]], -1))


def turns(inputs: FaceInputs, head: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors of heads that the cameras of these inputs see face a pitch and yaw, radians."""
    flip = torch.diag(inputs.pose.new_tensor([1.0, -1.0, -1.0]))  # from axes with y up to those of a camera
    seen = flip @ quaternion_to_matrix(gaze_turn(head))
    return quaternion_to_vector(matrix_to_quaternion(inputs.world_to_camera[..., :3, :3].mT @ seen))


def repeated(inputs: FaceInputs, count: int) -> FaceInputs:
    """A batch of one as a batch of many."""
    return inputs.map(lambda t: t.expand(count, *t.shape[1:]))


def in_degrees(angle: Float[Tensor, "2"]) -> str:
    """Pitch and yaw as a caption says them."""
    pitch, yaw = (round(v, 1) + 0.0 for v in angle.rad2deg().tolist())
    return f"pitch {pitch:+g}°, yaw {yaw:+g}°"


def _is_pair(pair: object) -> bool:
    return isinstance(pair, Sequence) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in pair)


def _told(angle: Tensor) -> str:
    return ", ".join(in_degrees(row) for row in angle.reshape(-1, 2)[:5])
