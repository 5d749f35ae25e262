"""People whose predictions are off by a known affine map and noise."""

import torch

from gaze.calibration.dots import Frames

MATRIX = torch.tensor([[1.1, 0.05], [-0.04, 0.9]], dtype=torch.float64)
SHIFT = torch.tensor([0.8, -1.2], dtype=torch.float64)


def person(seed=0, dots=12, frames=8, noise=0.0, matrix=MATRIX, shift=SHIFT, features=0):
    """Frames with target = matrix @ point + shift, but for noise of the prediction."""
    draw = torch.Generator().manual_seed(seed)
    point = torch.rand(dots, 2, generator=draw, dtype=torch.float64) * torch.tensor([6.0, 10.0]) - torch.tensor(
        [3.0, 11.0]
    )
    target = point @ matrix.T + shift
    point = point.repeat_interleave(frames, 0)
    point = point + noise * torch.randn(point.shape, generator=draw, dtype=torch.float64)
    read = torch.randn(len(point), features, generator=draw, dtype=torch.float64) if features else None
    dot = torch.arange(dots).repeat_interleave(frames)
    return Frames(point, target.repeat_interleave(frames, 0), dot, read)
