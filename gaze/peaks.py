"""The ways to read a point off a heatmap, by name; all figures in the literature use the first."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.heatmaps import corner_peak, largest_cell, subcell_peak

SMALLEST = 1e-30  # a probability, relative to the largest of its map, whose logarithm is still finite in float32


def centre_peak(heatmap: Float[Tensor, "n h w"]) -> Float[Tensor, "n 2"]:
    """The centre (x, y) of the first largest cell: the corner without its bias of half a cell."""
    h, w = heatmap.shape[-2:]
    return corner_peak(heatmap) + torch.tensor([0.5 / w, 0.5 / h], dtype=heatmap.dtype, device=heatmap.device)


def dark_peak(heatmap: Float[Tensor, "n h w"], sigma: float = 3.0) -> Float[Tensor, "n 2"]:
    """The top (x, y) of the bump that the largest cell is on, as DARK finds it (Zhang et al., CVPR 2020).

    The probabilities are smoothed with the Gaussian that the targets were drawn with; the logarithm of
    the result is expanded to second order around the largest cell, and the point is where that expansion
    has its maximum. Where the prediction is a Gaussian, turned and stretched or not, and no more than 1.6 times
    as wide as the targets, that is within a hundredth of a cell of its centre.

    Where there is no maximum (the matrix of second derivatives is not negative definite) the point is the
    centre of the cell. The paper leaves three things open: we step no further than the neighbours that the
    derivatives are taken from; closer to the border than three sigma, where the smoothing would see less of
    one side and pull the point inwards, the map is not smoothed; and across the border there is no
    derivative, so in a cell at the border the point stays in the middle along that axis.

    Args:
        heatmap: logits.
        sigma: standard deviation, in cells, of the targets that the model was trained on.
    """
    h, w = heatmap.shape[-2:]
    row, column = largest_cell(heatmap)
    logp = F.logsigmoid(heatmap)
    # Relative to the largest, so that a map of nothing but tiny probabilities has a peak like any other.
    relative = (logp - logp.amax((-2, -1), keepdim=True)).exp()

    radius = ceil(3 * sigma)
    reach = radius + 1  # of the smoothing, around the neighbours of the cell
    offset = torch.arange(-reach, reach + 1, device=heatmap.device)
    heads = torch.arange(len(heatmap), device=heatmap.device)[:, None, None]
    rows, columns = (row[:, None] + offset + reach)[:, :, None], (column[:, None] + offset + reach)[:, None, :]
    window = F.pad(relative, (reach,) * 4)[heads, rows, columns]
    away = (offset - offset[reach - 1 : reach + 2, None]).to(heatmap.dtype)  # from the three cells, 3 x window
    blur = torch.exp(-0.5 * (away / sigma).square()) * (away.abs() <= radius)
    smooth = torch.einsum("ok,nkl,pl->nop", blur, window, blur)

    margin = torch.minimum(torch.minimum(row, h - 1 - row), torch.minimum(column, w - 1 - column))
    plain = window[:, reach - 1 : reach + 2, reach - 1 : reach + 2]
    top = torch.where((margin < 3 * sigma)[:, None, None], plain, smooth).clamp(min=SMALLEST).log()
    inner = (column > 0) & (column < w - 1), (row > 0) & (row < h - 1)
    step = _newton_step(top, *inner).clamp(-1, 1)
    x, y = column + 0.5 + step[:, 0], row + 0.5 + step[:, 1]
    return torch.stack([x / w, y / h], -1)


def _newton_step(top: Float[Tensor, "n 3 3"], inner_x: Tensor, inner_y: Tensor) -> Float[Tensor, "n 2"]:
    """From the middle of 3 x 3 values to the maximum of their Taylor expansion; none where it has no maximum."""
    dx, dy = (top[:, 1, 2] - top[:, 1, 0]) / 2, (top[:, 2, 1] - top[:, 0, 1]) / 2
    dxx = top[:, 1, 2] - 2 * top[:, 1, 1] + top[:, 1, 0]
    dyy = top[:, 2, 1] - 2 * top[:, 1, 1] + top[:, 0, 1]
    dxy = (top[:, 2, 2] - top[:, 2, 0] - top[:, 0, 2] + top[:, 0, 0]) / 4
    # Along an axis with a neighbour on one side only: level, and curved by itself.
    dx, dxx = torch.where(inner_x, dx, 0.0), torch.where(inner_x, dxx, -1.0)
    dy, dyy = torch.where(inner_y, dy, 0.0), torch.where(inner_y, dyy, -1.0)
    dxy = torch.where(inner_x & inner_y, dxy, 0.0)
    determinant = dxx * dyy - dxy * dxy
    peaked = (dxx < 0) & (determinant > 0)
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / torch.where(peaked, determinant, 1.0)[:, None]
    return torch.where(peaked[:, None], step, 0.0)


PEAKS: dict[str, Callable[[Float[Tensor, "n h w"]], Float[Tensor, "n 2"]]] = {
    "corner": corner_peak,
    "centre": centre_peak,
    "subcell": subcell_peak,
    "dark": dark_peak,
}
