"""The point of gaze by way of space: where the eyes are, which way they look, and where that meets the screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.geometry import gaze_to_plane, pitch_yaw_to_vector
from gaze.heads.point import Standard, perceptron
from gaze.types import ScreenInputs, ScreenPrediction

NEAREST_CM = 5.0  # of the eyes
STEP_CM = 10.0  # by which an output of 1 moves the eyes


class PointGeometricHead(nn.Module):
    """The midpoint of the eyes and a direction of gaze, intersected with the plane of camera and screen.

    P = o_xy - o_z g_xy / g_z in the camera frame, and the prediction is (-P_x, -P_y). An untrained head sees a user
    `distance_cm` in front of the camera who looks into it. Gaze that is nearly parallel to the plane is taken to
    meet it at a slope of `least_slope`. Losses of 3D labels (`gaze_angle`, `eye_origin`) teach both parts.

    Args:
        channels: of the features.
        hidden: widths of the layers before the last.
        activation: makes what follows each of these layers.
        dropout: after each activation.
        distance_cm: of the eyes from the plane, at the start.
        least_slope: sine of the flattest angle at which gaze meets the plane.
    """

    place: Tensor
    ahead: Tensor

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int] = (128,),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        distance_cm: float = 33.0,
        least_slope: float = 0.05,
    ) -> None:
        super().__init__()
        if distance_cm <= NEAREST_CM or not 0 < least_slope < 1:
            raise ValueError(
                f"head.distance_cm is {distance_cm} and head.least_slope {least_slope}; expected more than {NEAREST_CM} cm "
                "and a sine between 0 and 1"
            )
        self.least_slope = least_slope
        self.hidden = perceptron(channels, hidden, activation, dropout)
        width = [channels, *hidden][-1]
        self.origin, self.pitch_yaw = nn.Linear(width, 3), nn.Linear(width, 2)
        for linear in (self.origin, self.pitch_yaw):
            nn.init.normal_(linear.weight, std=0.1 / math.sqrt(width))
            nn.init.zeros_(linear.bias)
        # softplus of the last of these is the distance, in steps beyond the nearest. They are float32 and lift what
        # autocast computed in fewer digits; a cast would bake a device into an exported graph.
        depth = math.log(math.expm1((distance_cm - NEAREST_CM) / STEP_CM))
        self.register_buffer("place", torch.tensor([0.0, 0.0, depth]), persistent=False)
        self.register_buffer("ahead", torch.zeros(2), persistent=False)
        self.standard = Standard()

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        found = self.hidden(features)
        steps = self.origin(found) + self.place
        depth = NEAREST_CM + STEP_CM * F.softplus(steps[:, 2:])
        origin = torch.cat([STEP_CM * steps[:, :2], depth], 1)
        gaze = pitch_yaw_to_vector(self.pitch_yaw(found) + self.ahead)
        point = gaze_to_plane(origin, gaze, self.least_slope)
        return ScreenPrediction(point, self.standard.units(point), found, origin=origin, gaze=gaze)
