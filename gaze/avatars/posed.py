"""Gaussians of a stream in the canonical frame, and what the head's pose makes of them."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.head_frames import to_world
from gaze.rasterize.gaussians import Gaussians
from gaze.rotations import quaternion_product, vector_to_quaternion


class Canonical(NamedTuple):
    """Of b samples."""

    mean: Float[Tensor, "b g 3"]
    quaternion: Float[Tensor, "b g 4"]
    scale: Float[Tensor, "b g 3"]  # standard deviations, canonical units
    opacity: Float[Tensor, "b g"]
    feature: Float[Tensor, "b g c"]

    def posed(self, pose: Float[Tensor, "b 6"], scale: Float[Tensor, "b"]) -> Gaussians:
        """The Gaussians in the world."""
        turn = vector_to_quaternion(pose[:, :3])[:, None]
        return Gaussians(
            mean=to_world(self.mean, pose, scale),
            quaternion=quaternion_product(turn, F.normalize(self.quaternion, dim=-1)),
            scale=scale[:, None, None] * self.scale,
            opacity=self.opacity,
            feature=self.feature,
        )
