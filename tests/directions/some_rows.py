"""Directions with known errors, for tests of figures and reports."""

import torch

from gaze.concentration import quantile
from gaze.directions.rows import DirectionRows
from gaze.geometry import pitch_yaw_to_vector


def turned(truth, angle, draws):
    """Directions at these angles, radians, from the true ones, each to a random side."""
    other = torch.randn(truth.shape, generator=draws, dtype=torch.float64)
    side = torch.nn.functional.normalize(torch.linalg.cross(truth, other), dim=-1)
    return truth * angle.cos()[:, None] + side * angle.sin()[:, None]


def calibrated(n=4000, seed=0, people=4, doubt=1.0):
    """Predictions whose errors follow their own concentrations, or ones that are too large by `doubt`."""
    draws = torch.Generator().manual_seed(seed)
    angles = torch.randn(n, 2, generator=draws, dtype=torch.float64) * torch.tensor([0.3, 0.6])
    truth = pitch_yaw_to_vector(angles)
    kappa = 10 ** (1 + 2 * torch.rand(n, generator=draws, dtype=torch.float64))
    share = torch.rand(n, generator=draws, dtype=torch.float64)
    error = quantile(kappa, share)
    return rows(turned(truth, error, draws), truth, kappa=kappa * doubt, subject=torch.arange(n) % people)


def rows(gaze, truth, head=None, kappa=None, spread=None, subject=None, sector=None, moment=None):
    n = len(gaze)

    def known(value, width):
        return torch.full((n, width), torch.nan).double() if value is None else value.double().reshape(n, width)

    return DirectionRows(
        gaze.double(),
        truth.double(),
        known(head, 2),
        known(kappa, 1),
        known(spread, 2),
        known(sector, 2),
        known(moment, 2),
        torch.zeros(n, dtype=torch.long) if subject is None else subject,
    )
