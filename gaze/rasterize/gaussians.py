"""Gaussians in the world, with as many features each as a picture is to have channels."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.types import Record


@dataclass(frozen=True)
class Gaussians(Record):
    """For each of b samples a cloud of g Gaussians. All may have gradients."""

    mean: Float[Tensor, "b g 3"]  # of the world
    quaternion: Float[Tensor, "b g 4"]  # (w, x, y, z) of any length but zero; turns the axes of `scale` to the world
    scale: Float[Tensor, "b g 3"]  # standard deviations in units of the world
    opacity: Float[Tensor, "b g"]  # 0 to 1
    feature: Float[Tensor, "b g c"]


def joined(*clouds: Gaussians) -> Gaussians:
    """All clouds of each sample as one, in the order given."""
    return Gaussians(*(torch.cat([getattr(cloud, f.name) for cloud in clouds], 1) for f in fields(Gaussians)))
