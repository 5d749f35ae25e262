"""Splats over one another, from near to far, tile by tile, with a backward pass of its own.

All tiles advance through their lists together, a slice of `SLICE` splats at a time, and leave when their list ends or
nothing more can be seen. In a tile the logarithm of what a splat covers is a quadratic form of the pixel, so that one matrix
product gives it for all pixels; its gradient is another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaze.rasterize.projection import LEAST_ALPHA
from gaze.rasterize.tiles import TILE, TileLists

MOST_ALPHA = 0.999  # as gsplat; Kerbl et al. have 0.99
LEAST_LIGHT = 1e-4  # a splat that would let less through is not drawn, nor what is behind it
SLICE = 32  # splats
UNSEEN = -1e4  # logarithm of what covers nothing


class Slice(NamedTuple):
    """What the backward pass needs of one slice of the lists of n tiles."""

    rows: Int[Tensor, "n"]  # of `TileLists`
    splat: Int[Tensor, "m"]  # m = n * SLICE
    feature: Float[Tensor, "n s c"]
    alpha: Float[Tensor, "n s p"]
    weight: Float[Tensor, "n s p"]


def composite(shape: Float[Tensor, "k 6"], feature: Float[Tensor, "k c"], lists: TileLists) -> Float[Tensor, "t p c"]:
    """The features of the pixels of each tile, row by row, each weighted by how much of it is seen; over black."""
    return _Composite.apply(shape, feature, lists)


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: Tensor, feature: Tensor, lists: TileLists) -> Tensor:
        keep = any(ctx.needs_input_grad)
        found = torch.zeros(len(lists.tile), TILE * TILE, feature.shape[1], dtype=shape.dtype, device=shape.device)
        monomials = _monomials(shape)
        slices: list[Slice] = []
        capped = bool((shape[:, 5] > _log(MOST_ALPHA)).any())
        rows = torch.arange(len(lists.tile), device=shape.device)
        light = torch.ones(found.shape[:2], dtype=shape.dtype, device=shape.device)
        sums, depth = found.clone(), 0
        while len(rows):
            splat, valid = _slice(lists, rows, depth)
            coefficients = _coefficients(shape.index_select(0, splat), lists.corner[rows].repeat_interleave(SLICE, 0))
            coefficients[:, 0].masked_fill_(~valid, UNSEEN)
            alpha = (coefficients @ monomials).view(len(rows), SLICE, -1).exp_()
            torch.threshold_(alpha, LEAST_ALPHA, 0.0)
            if capped:
                alpha.clamp_max_(MOST_ALPHA)
            after = torch.cumprod(1 - alpha, 1).mul_(light[:, None])
            weight = torch.empty_like(alpha)
            torch.mul(alpha[:, 0], light, out=weight[:, 0])
            torch.mul(alpha[:, 1:], after[:, :-1], out=weight[:, 1:])
            light = after[:, -1]
            if light.amin() <= LEAST_LIGHT:
                weight.masked_fill_(after <= LEAST_LIGHT, 0.0)
            seen = feature.index_select(0, splat).view(len(rows), SLICE, -1)
            sums.baddbmm_(weight.mT, seen)
            if keep:
                slices.append(Slice(rows, splat, seen, alpha, weight))
            depth += SLICE
            more = lists.length[rows] > depth
            more &= light.amax(1) > LEAST_LIGHT
            left = int(more.sum())
            if left < len(rows):
                found[rows] = sums
                rows = rows[more]
                light, sums = light[more], found[rows]
        ctx.slices, ctx.lists, ctx.capped = slices, lists, capped
        ctx.save_for_backward(shape, feature)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        shape, feature = ctx.saved_tensors
        monomials = _monomials(shape)
        shape_gradient, feature_gradient = torch.zeros_like(shape), torch.zeros_like(feature)
        behind = torch.zeros(gradient.shape[:2], dtype=shape.dtype, device=shape.device)
        for rows, splat, seen, alpha, weight in reversed(ctx.slices):
            outer = gradient[rows]
            share = torch.bmm(seen, outer.mT).mul_(weight)
            hidden = share.flip(1).cumsum(1).flip(1)
            hidden.sub_(share)
            hidden.add_(behind[rows][:, None])
            behind[rows] += share.sum(1)
            slope = share.addcdiv_(hidden.mul_(alpha), 1 - alpha, value=-1)
            if ctx.capped:
                slope.masked_fill_(alpha >= MOST_ALPHA, 0.0)
            corner = ctx.lists.corner[rows].repeat_interleave(SLICE, 0)
            inner = slope.flatten(0, 1) @ monomials.mT
            shape_gradient.index_add_(0, splat, _shape_gradient(shape.index_select(0, splat), corner, inner))
            feature_gradient.index_add_(0, splat, torch.bmm(weight, outer).flatten(0, 1))
        return shape_gradient, feature_gradient, None


def _log(value: float) -> float:
    return float(torch.tensor(value, dtype=torch.float64).log())


def _slice(lists: TileLists, rows: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """The next `SLICE` splats of each list, and which of them exist."""
    offset = torch.arange(depth, depth + SLICE, device=rows.device)
    valid = offset < lists.length[rows][:, None]
    place = torch.where(valid, lists.start[rows][:, None] + offset, 0).flatten()
    return lists.splat.index_select(0, place), valid.flatten()


def _monomials(like: Tensor) -> Tensor:
    """1, u, v, u², uv, v² of the pixels of a tile, from its centre; [6 p]."""
    side = torch.arange(TILE, dtype=like.dtype, device=like.device) + 0.5 - TILE / 2
    v, u = (t.flatten() for t in torch.meshgrid(side, side, indexing="ij"))
    return torch.stack([torch.ones_like(u), u, v, u * u, u * v, v * v])


def _coefficients(shape: Tensor, corner: Tensor) -> Tensor:
    """Of the monomials, to give the logarithm of what the splats cover; [m 6]."""
    x, y, xx, xy, yy, log_opacity = shape.unbind(1)
    u, v = x - (corner[:, 0] + TILE / 2), y - (corner[:, 1] + TILE / 2)
    along_u, along_v = xx * u + xy * v, yy * v + xy * u
    constant = log_opacity - (along_u * u + along_v * v) / 2
    return torch.stack([constant, along_u, along_v, xx / -2, -xy, yy / -2], 1)


def _shape_gradient(shape: Tensor, corner: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of `shape`, from that of its coefficients; [m 6]."""
    x, y, xx, xy, yy, _ = shape.unbind(1)
    u, v = x - (corner[:, 0] + TILE / 2), y - (corner[:, 1] + TILE / 2)
    one, du, dv, duu, duv, dvv = gradient.unbind(1)
    du_here, dv_here = du - u * one, dv - v * one
    return torch.stack(
        [
            xx * du_here + xy * dv_here,
            yy * dv_here + xy * du_here,
            u * du - (u * u * one + duu) / 2,
            v * du + u * dv - u * v * one - duv,
            v * dv - (v * v * one + dvv) / 2,
            one,
        ],
        1,
    )
