"""The Gaussians of the eyes: balls that turn with the gaze, and whose colours follow codes and gaze."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.avatars.encoding import WIDTH, encoded
from gaze.avatars.face_stream import GAIN, REACH
from gaze.avatars.point_mlp import PointMLP
from gaze.avatars.posed import Canonical
from gaze.avatars.splats import Splats
from gaze.rotations import quaternion_product

PARTS = (1, 4, 1)  # log scale, quaternion, logit of the opacity


class EyeStream(nn.Module):
    """GazeGaussian's eye stream (Wei et al., ICCV 2025, section 3.3): isotropic Gaussians, the same number for each eye.

    Features are two sigmoids, of codes and of gaze, and not without bounds as theirs: see `FaceStream`.

    Args:
        count: Gaussians of each eye.
        code: numbers of expression and identity.
        point_feature: numbers that describe a Gaussian.
        features: that are drawn; the first three are red, green, blue.
        width: of hidden layers; half of it where only the gaze is read.
        rotation: how points turn with the gaze; one of `gaze.eye_rotations`. None: they don't.
    """

    side: Tensor

    def __init__(
        self, count: int, code: int, point_feature: int, features: int, width: int, rotation: nn.Module | None
    ) -> None:
        super().__init__()
        gaze, point = 2 * WIDTH, 3 * WIDTH
        self.splats = Splats(2 * count, point_feature, isotropic=True, opacity=0.9)
        self.register_buffer("side", torch.arange(2).repeat_interleave(count))
        self.shape_colour = PointMLP(point_feature, code, [width] * 2, features)
        self.eye_colour = PointMLP(point_feature, gaze, [width // 2], features)
        self.eye_attributes = PointMLP(point_feature, gaze, [width // 2] * 2, sum(PARTS), last_zero=True)
        self.shape_deform = PointMLP(point, code, [width] * 5, 3)
        self.rotation = rotation

    def forward(
        self, centre: Float[Tensor, "2 3"], code: Float[Tensor, "b c"], gaze: Float[Tensor, "b 2"]
    ) -> Canonical:
        """The stream's Gaussians.

        Args:
            centre: of the neutral eyeballs, left and right as pictures show them.
            gaze: pitch, yaw, radians.
        """
        splats, seen = self.splats, encoded(gaze)
        what, where = splats.described()[None], encoded(splats.position)[None]
        points = splats.position
        log_scale, turn, logit = (GAIN * self.eye_attributes(what, seen)).split(PARTS, -1)
        scale = (splats.log_scale + log_scale).exp()
        quaternion = splats.quaternion + turn
        if self.rotation is not None:
            points, turns = self.rotation(points, self.side, centre, gaze, code)
            quaternion = quaternion_product(turns, quaternion)
        return Canonical(
            mean=points + REACH * self.shape_deform(where, code).tanh(),
            quaternion=quaternion,
            scale=scale.expand(*scale.shape[:-1], 3),
            opacity=(splats.opacity_logit + logit[..., 0]).sigmoid(),
            feature=self.shape_colour(what, code).sigmoid() + self.eye_colour(what, seen).sigmoid(),
        )
