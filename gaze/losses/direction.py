"""Losses of a direction of gaze: by its angle, its cosine, or its pitch and yaw."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.losses.loss import Loss
from gaze.types import Batch, DirectionPrediction, Progress

TINY = 1e-12  # added to squares before their root, whose gradient is infinite at 0


class Angular(Loss):
    """The angle between prediction and truth, radians, averaged over the samples."""

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        return angle_between(prediction.gaze, batch.targets.gaze).mean()


class GazeCosine(Loss):
    """1 - the cosine of that angle. Its gradient fades as the angle does, so the last degrees come slowly."""

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        found, _ = normalised(prediction.gaze)
        return (1 - (found * batch.targets.gaze).sum(-1)).mean()


class PitchYawL1(Loss):
    """|pitch error| + |yaw error| cos(true pitch), radians, averaged over the samples.

    Yaw errors go round the seam at 180 degrees, and count by the distance that they are on the sphere.
    """

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        return angle_residuals(prediction.gaze, batch.targets.gaze, scaled=True).abs().sum(-1).mean()


def angle_between(found: Float[Tensor, "b 3"], truth: Float[Tensor, "b 3"]) -> Float[Tensor, "b"]:
    """Angles between predictions of any length and unit vectors, radians.

    atan2(sqrt(|p x t|^2 + 1e-16), p.t): its gradient on the sphere has length 1 from 0.001 to 179.9 degrees, and is 0 at
    both ends. The acos of a cosine has none below 0.02 degrees, and NaN where rounding makes the cosine larger than 1.
    A zero prediction has no direction: an angle of 90 degrees, and a gradient of 1e6, which clipping makes harmless.
    """
    unit, missing = normalised(found)
    # Without the missing length, sine and cosine would both vanish with the prediction, and atan2 be undefined there.
    square = torch.linalg.cross(unit, truth).square().sum(-1) + missing.square() + 1e-16
    return torch.atan2(square.sqrt(), (unit * truth).sum(-1))


def normalised(vector: Float[Tensor, "*b d"]) -> tuple[Float[Tensor, "*b d"], Float[Tensor, "*b"]]:
    """Vectors at unit length, zero ones as they are; and what their squared lengths miss of 1."""
    square = vector.square().sum(-1, keepdim=True) + TINY
    return vector / square.sqrt(), TINY / square[..., 0]


def safe_pitch_yaw(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 2"]:
    """`gaze.geometry.vector_to_pitch_yaw` with finite gradients where somebody looks straight up or down."""
    x, y, z = vector.unbind(-1)
    return torch.stack([torch.atan2(-y, (x.square() + z.square() + TINY).sqrt()), torch.atan2(-x, -z)], -1)


def angle_residuals(
    found: Float[Tensor, "b 3"], truth: Float[Tensor, "b 3"], scaled: bool = False
) -> Float[Tensor, "b 2"]:
    """True minus predicted pitch and yaw, radians; yaw in (-pi, pi], and times the cosine of the true pitch if `scaled`."""
    target = safe_pitch_yaw(truth)
    pitch, yaw = (target - safe_pitch_yaw(found)).unbind(-1)
    yaw = torch.atan2(yaw.sin(), yaw.cos())
    return torch.stack([pitch, yaw * target[..., 0].cos() if scaled else yaw], -1)


def needed(value: Tensor | None, loss: str, what: str, hint: str) -> Tensor:
    """What a loss asks of a prediction.

    Raises:
        ValueError: the model does not say it.
    """
    if value is None:
        raise ValueError(f"loss.{loss} needs {what}, which the model does not give: {hint}, or take the loss out")
    return value
