"""What each Gaussian of a stream is in itself, before codes, pose and gaze change it."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import cKDTree
from torch import Tensor, nn

LEAST = 1e-7  # of mean squared distances, canonical units²
GOLDEN = math.pi * (3 - math.sqrt(5))


class Splats(nn.Module):
    """A fixed number of Gaussians: none is born, split or taken away in training.

    Args:
        count: how many.
        feature: numbers that describe each; they pass a tanh when used.
        isotropic: one scale each instead of three.
        opacity: of all at the start, 0 to 1.
    """

    def __init__(self, count: int, feature: int, isotropic: bool, opacity: float) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.zeros(count, 3))
        self.feature = nn.Parameter(torch.zeros(count, feature))
        self.log_scale = nn.Parameter(torch.zeros(count, 1 if isotropic else 3))
        self.quaternion = nn.Parameter(torch.zeros(count, 4))
        self.opacity_logit = nn.Parameter(torch.full((count,), math.log(opacity / (1 - opacity))))
        with torch.no_grad():
            self.quaternion[:, 0] = 1

    def __len__(self) -> int:
        return len(self.position)

    @torch.no_grad()
    def place(self, points: Float[Tensor, "g 3"], feature: Float[Tensor, "g f"] | None = None) -> None:
        """Move the Gaussians to these points of the canonical frame, each as large as its neighbours are far.

        Args:
            feature: what describes each, before its tanh; None: as it is.
        """
        self.position.copy_(points)
        self.log_scale.copy_(spacing(points).log()[:, None].expand_as(self.log_scale))
        if feature is not None:
            self.feature.copy_(feature)

    def described(self) -> Float[Tensor, "g f"]:
        """What describes each Gaussian, in (-1, 1)."""
        return self.feature.tanh()


def spacing(points: Float[Tensor, "g 3"]) -> Float[Tensor, "g"]:
    """Root mean squares of the distances of points to their three nearest others (Kerbl et al. 2023)."""
    places = points.detach().cpu().double().numpy()
    near, _ = cKDTree(places).query(places, k=min(4, len(places)))
    square = np.square(near[:, 1:]).mean(1) if len(places) > 1 else np.zeros(len(places))
    return torch.from_numpy(square).clamp(min=LEAST).sqrt().to(points)


def sphere(count: int) -> Float[Tensor, "g 3"]:
    """Points spread evenly over the unit sphere, by the golden angle."""
    step = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * step / count
    angle = GOLDEN * step
    ring = (1 - z * z).sqrt()
    return torch.stack([ring * angle.cos(), ring * angle.sin(), z], -1).float()
