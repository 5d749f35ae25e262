"""Heatmaps: drawing targets from points, finding the point in a prediction, drawing the head prompt.

A cell (row i, column j) of an h x w map covers the part [j/w, (j+1)/w) x [i/h, (i+1)/h) of the image.
Everything here is vectorised over people, runs on the device the data is on without waiting for it,
and is written as comparisons against a grid, so that it exports to ONNX.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.types import SceneTargets

TargetMode = Literal["subcell", "reference"]
MaskMode = Literal["cover", "reference"]


def check_mode(mode: str, modes: object, name: str = "mode") -> None:
    """Refuse a mode that is not one of the Literal type `modes`."""
    if mode not in get_args(modes):
        raise ValueError(f"{name} is {mode!r}; expected one of {', '.join(get_args(modes))}")


def in_frame(targets: SceneTargets) -> Bool[Tensor, "n"]:
    """Which heads have a target to be found in the picture: annotated, and not marked as outside."""
    return annotated(targets.points).any(-1) & (targets.inout != 0)  # NaN, an unknown label, is not 0


def annotated(points: Float[Tensor, "n a 2"]) -> Bool[Tensor, "n a"]:
    """Which annotations are there; absent ones are NaN."""
    return points.isfinite().all(-1)


def mean_annotation(points: Float[Tensor, "n a 2"]) -> Float[Tensor, "n 2"]:
    """The mean of each head's annotations; NaN without one."""
    there = annotated(points)
    total = points.masked_fill(~there[..., None], 0.0).sum(1)
    return total / there.sum(1, keepdim=True)  # 0 / 0 is the NaN we promise


# --- Targets -----------------------------------------------------------------------------------


def gaussian_targets(
    points: Float[Tensor, "n a 2"], size: tuple[int, int], sigma: float = 3.0, mode: str = "subcell"
) -> Float[Tensor, "n h w"]:
    """One map per head with a Gaussian at each annotated point; where they overlap the larger counts.

    Args:
        points: fractions of the image; NaN draws nothing.
        size: (h, w) of the maps.
        sigma: standard deviation in cells.
        mode: ``subcell`` centres the Gaussian on the point itself and samples it at the cells' centres.
            The largest cell is then the same as in ``reference``, and the neighbours say where in the
            cell the point is, which `subcell_peak` can read back. ``reference`` is GazeLLE's target:
            centred on the cell that holds the point, cut to a window of 3 sigma, divided by its maximum,
            also where the point is a little to the right of or below the image.
    """
    check_mode(mode, TargetMode)
    axis = _subcell_axis if mode == "subcell" else _reference_axis
    x = axis(points[..., 0], size[1], sigma)
    y = axis(points[..., 1], size[0], sigma)
    # A Gaussian is separable, and so are a square window and the division by the maximum. An annotation
    # that is missing has NaN on at least one axis, and is dropped before it can spread.
    there = annotated(points)[..., None]
    x, y = x.masked_fill(~there, 0.0), y.masked_fill(~there, 0.0)
    return (y[..., :, None] * x[..., None, :]).amax(1)


def _subcell_axis(position: Float[Tensor, "n a"], cells: int, sigma: float) -> Float[Tensor, "n a cells"]:
    centre = torch.arange(cells, device=position.device, dtype=position.dtype) + 0.5
    return torch.exp(-0.5 * ((centre - position[..., None] * cells) / sigma).square())


def _reference_axis(position: Float[Tensor, "n a"], cells: int, sigma: float) -> Float[Tensor, "n a cells"]:
    centre = torch.floor(position * cells)[..., None]
    offset = torch.arange(cells, device=position.device, dtype=position.dtype) - centre
    window = (offset.abs() <= int(3 * sigma)) & (position[..., None] >= 0)
    profile = torch.exp(-0.5 * (offset / sigma).square()) * window
    peak = profile.amax(-1, keepdim=True)
    return profile / torch.where(peak > 0, peak, 1.0)


# --- Predictions -------------------------------------------------------------------------------


def corner_peak(heatmap: Float[Tensor, "n h w"]) -> Float[Tensor, "n 2"]:
    """The top left corner (x, y) of the first largest cell: the point that all published figures use.

    On average the true point lies half a cell further right and down.
    """
    h, w = heatmap.shape[-2:]
    row, column = largest_cell(heatmap)
    return torch.stack([column / w, row / h], -1)


def subcell_peak(heatmap: Float[Tensor, "n h w"]) -> Float[Tensor, "n 2"]:
    """The peak (x, y) between the cells of finite logits: the top of a parabola through log-probability.

    Exact for a Gaussian (the idea of DARK, Zhang et al., CVPR 2020). Where the largest cell lies on the
    border, or nothing around it is lower, the answer along that axis is the cell's centre.
    """
    h, w = heatmap.shape[-2:]
    row, column = largest_cell(heatmap)
    logp = F.logsigmoid(heatmap).flatten(1)
    cell = row * w + column
    x = column + 0.5 + _parabola_shift(logp, cell, 1, (column > 0) & (column < w - 1))
    y = row + 0.5 + _parabola_shift(logp, cell, w, (row > 0) & (row < h - 1))
    return torch.stack([x / w, y / h], -1)


def largest_cell(heatmap: Float[Tensor, "n h w"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """Row and column of the first largest cell of each map."""
    w = heatmap.shape[-1]
    cell = heatmap.flatten(1).argmax(-1)  # the first of equals
    return torch.div(cell, w, rounding_mode="floor"), cell % w


def _parabola_shift(
    logp: Float[Tensor, "n k"], cell: Int[Tensor, "n"], step: int, inner: Bool[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """How many cells beyond `cell` the parabola through it and its neighbours `step` away has its top."""
    neighbours = cell[:, None] + torch.tensor([-step, 0, step], device=cell.device)
    before, here, after = logp.gather(1, neighbours.clamp(0, logp.shape[1] - 1)).unbind(-1)
    curvature = before - 2 * here + after
    curved = inner & (curvature < 0)
    shift = 0.5 * (before - after) / torch.where(curved, curvature, 1.0)
    return torch.where(curved, shift, 0.0).clamp(-0.5, 0.5)


# --- Head prompts ------------------------------------------------------------------------------


def head_masks(head_bbox: Float[Tensor, "n 4"], size: tuple[int, int], mode: str = "cover") -> Float[Tensor, "n h w"]:
    """One map per head: 1 on the cells of its box, 0 elsewhere. A box with NaN has none.

    Args:
        head_bbox: (x0, y0, x1, y1) as fractions of the image.
        size: (h, w) of the maps.
        mode: ``cover`` and ``reference`` agree on every box inside the image that is not tiny: edges are
            rounded to cells, half to even. ``reference`` (GazeLLE) loses small heads and those that stick
            out: a box that rounds to nothing has no cells, and a negative edge counts from the far side,
            as in Python's slices. ``cover`` clamps the box to the image, and a box that rounds to
            nothing gets the cell at its middle, so that every head keeps its prompt. We do not use
            fractional coverage: it would change the prompt of every head that published weights know.
    """
    check_mode(mode, MaskMode)
    span = _covering_span if mode == "cover" else _slice_span
    x = _cells_between(*span(head_bbox[:, 0], head_bbox[:, 2], size[1]), size[1])
    y = _cells_between(*span(head_bbox[:, 1], head_bbox[:, 3], size[0]), size[0])
    return (y[:, :, None] & x[:, None, :]).to(head_bbox.dtype)


def _covering_span(low: Float[Tensor, "n"], high: Float[Tensor, "n"], cells: int) -> tuple[Tensor, Tensor]:
    low, high = low.clamp(0, 1), high.clamp(0, 1)
    first, end = (low * cells).round(), (high * cells).round()
    middle = ((low + high) / 2 * cells).floor().clamp(max=cells - 1)
    empty = end <= first
    return torch.where(empty, middle, first), torch.where(empty, middle + 1, end)


def _slice_span(low: Float[Tensor, "n"], high: Float[Tensor, "n"], cells: int) -> tuple[Tensor, Tensor]:
    def wrap(edge: Tensor) -> Tensor:
        return torch.where(edge < 0, edge + cells, edge)

    return wrap((low * cells).round()), wrap((high * cells).round())


def _cells_between(first: Float[Tensor, "n"], end: Float[Tensor, "n"], cells: int) -> Bool[Tensor, "n cells"]:
    cell = torch.arange(cells, device=first.device)
    return (cell >= first[:, None]) & (cell < end[:, None])  # comparisons with NaN are false
