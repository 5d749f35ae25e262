"""The Gaussians of everything but the eyes: they follow expression and identity near landmarks, the pose elsewhere."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gaze.avatars.encoding import WIDTH, encoded
from gaze.avatars.point_mlp import PointMLP
from gaze.avatars.posed import Canonical
from gaze.avatars.regions import near_landmarks
from gaze.avatars.splats import Splats

REACH = 0.3  # canonical units, of what a network moves a point by
GAIN = 0.2  # of what networks add to scale, turn and opacity
PARTS = (3, 4, 1)  # of these additions: log scale, quaternion, logit of the opacity


class FaceStream(nn.Module):
    """GazeGaussian's face stream (Wei et al., ICCV 2025, section 3.3).

    Unlike theirs, whose colours have no bounds, all features pass a sigmoid as those of stage 1 do: so stage 2 begins with
    the very colours that stage 1 ended with, and what is drawn is a picture, from 0 to 1, before any renderer.

    Most Gaussians follow either the codes or the pose alone. No network is asked about those that would not hear it, which
    is worth that the host waits for a GPU once a forward pass, to learn how many there are: places train.

    Args:
        count: Gaussians.
        code: numbers of expression and identity.
        point_feature: numbers that describe a Gaussian.
        features: that are drawn; the first three are red, green, blue.
        width: of hidden layers; half of it where only the pose is read.
        region_metric: what of the distance to landmarks decides; see `gaze.avatars.regions`.
    """

    def __init__(
        self, count: int, code: int, point_feature: int, features: int, width: int, region_metric: str = "squared"
    ) -> None:
        super().__init__()
        self.region_metric = region_metric
        pose, point = 6 * WIDTH, 3 * WIDTH
        self.splats = Splats(count, point_feature, isotropic=False, opacity=0.3)
        self.shape_colour = PointMLP(point_feature, code, [width] * 2, features)
        self.pose_colour = PointMLP(point_feature, pose, [width // 2], features)
        self.shape_attributes = PointMLP(point_feature, code, [width] * 3, sum(PARTS), last_zero=True)
        self.pose_attributes = PointMLP(point_feature, pose, [width // 2] * 2, sum(PARTS), last_zero=True)
        self.shape_deform = PointMLP(point, code, [width] * 5, 3)
        self.pose_deform = PointMLP(point, pose, [width] * 2, 3)

    def forward(
        self, landmarks: Float[Tensor, "l 3"], code: Float[Tensor, "b c"], pose: Float[Tensor, "b 6"]
    ) -> Canonical:
        """The stream's Gaussians.

        Args:
            landmarks: neutral ones but for those of the eyes, and vertices: near them points follow the codes.
        """
        splats, seen = self.splats, encoded(pose)
        with torch.no_grad():
            by_code = near_landmarks(splats.position, landmarks, self.region_metric)
            near, far = numbers(by_code > 0), numbers(by_code < 1)
        what, where = splats.described(), encoded(splats.position)
        own, places = what[near][None], where[near][None]
        by_shape = by_code[near, None] * torch.cat(
            [
                self.shape_colour(own, code).sigmoid(),
                self.shape_attributes(own, code),
                self.shape_deform(places, code).tanh(),
            ],
            -1,
        )
        own, places = what[far][None], where[far][None]
        by_pose = (1 - by_code[far, None]) * torch.cat(
            [
                self.pose_colour(own, seen).sigmoid(),
                self.pose_attributes(own, seen),
                self.pose_deform(places, seen).tanh(),
            ],
            -1,
        )
        made = by_pose.new_zeros(len(by_pose), len(splats), by_pose.shape[-1])
        made = made.index_add(1, near, by_shape).index_add(1, far, by_pose)
        colour, more, move = made.split((made.shape[-1] - sum(PARTS) - 3, sum(PARTS), 3), -1)
        log_scale, turn, logit = (GAIN * more).split(PARTS, -1)
        return Canonical(
            mean=splats.position + REACH * move,
            quaternion=splats.quaternion + turn,
            scale=(splats.log_scale + log_scale).exp(),
            opacity=(splats.opacity_logit + logit[..., 0]).sigmoid(),
            feature=colour,
        )


def numbers(chosen: Bool[Tensor, "g"]) -> Int[Tensor, "n"]:
    """Of what is chosen; the host waits until it knows how many."""
    return chosen.nonzero()[:, 0]
