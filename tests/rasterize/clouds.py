"""Clouds of Gaussians before a camera, for tests."""

from __future__ import annotations

import torch

from gaze.rasterize.gaussians import Gaussians


def cloud(samples=1, number=30, channels=4, seed=0, dtype=torch.float64, opacity=(0.05, 0.95), spread=0.6):
    """Gaussians around the origin, some of them larger than a pixel."""
    draws = torch.Generator().manual_seed(seed)

    def rand(*size):
        return torch.rand(samples, number, *size, generator=draws, dtype=torch.float64)

    return Gaussians(
        mean=(rand(3) * 2 - 1) * spread,
        quaternion=torch.randn(samples, number, 4, generator=draws, dtype=torch.float64),
        scale=0.02 + 0.15 * rand(3),
        opacity=opacity[0] + (opacity[1] - opacity[0]) * rand(),
        feature=rand(channels) * 2 - 0.5,
    ).map(lambda t: t.to(dtype))


def view(samples=1, size=(20, 28), distance=3.0, dtype=torch.float64, shift=(0.0, 0.0)):
    """Cameras that look at the origin from in front, each a little turned; matrices world to camera, and in px."""
    focal = 1.2 * max(size)
    camera = torch.tensor(
        [[focal, 0, size[1] / 2 + shift[0]], [0, 0.9 * focal, size[0] / 2 + shift[1]], [0, 0, 1]], dtype=dtype
    )
    angle = 0.3 + 0.4 * torch.arange(samples, dtype=dtype)
    turn = torch.eye(4, dtype=dtype).repeat(samples, 1, 1)
    turn[:, 0, 0] = turn[:, 2, 2] = angle.cos()
    turn[:, 0, 2], turn[:, 2, 0] = angle.sin(), -angle.sin()
    turn[:, 2, 3] = distance
    return turn, camera.repeat(samples, 1, 1)
