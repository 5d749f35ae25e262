"""Splats over one another, from near to far, tile by tile, with a backward pass of its own.

All tiles advance through their lists together, a slice at a time, and leave when their list ends or nothing more can be seen.
In a tile the logarithm of what a splat covers is a quadratic form of the pixel, so that one matrix product gives it for all
pixels; its gradient is another. On an accelerator each slice waits for the device: there gsplat is the quick way.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaze.rasterize.memory import explained_memory
from gaze.rasterize.projection import LEAST_ALPHA
from gaze.rasterize.tiles import TILE, TileLists

MOST_ALPHA = 0.999  # as gsplat; Kerbl et al. have 0.99
LEAST_LIGHT = 1e-4  # a splat that would let less through is not drawn, nor what is behind it
FAINT = -20.0  # logarithm below which all is cut alike; exp is ten times slower where its result underflows
UNSEEN = -1e4  # logarithm of what covers nothing
VALUES = 1 << 17  # of a slice, tiles x splats x pixels: its tables stay in the cache of a processor
SLICE = (8, 64)  # least and most splats of a list
ALIVE = 0.9  # of the tiles of a slice; with fewer the others leave


class Slice(NamedTuple):
    """What the backward pass needs of the next s splats of the lists of n tiles; the rest costs less than to keep it."""

    rows: Int[Tensor, "n"]  # of `TileLists`
    place: Int[Tensor, "n s"]  # of pairs; 0 where the list has ended
    alpha: Float[Tensor, "n s p"]
    light: Float[Tensor, "n p"]  # that comes to the first
    stops: bool  # does it end somewhere?


def composite(shape: Float[Tensor, "k 6"], feature: Float[Tensor, "k c"], lists: TileLists) -> Float[Tensor, "t p c"]:
    """The features of the pixels of each tile, row by row, each weighted by how much of it is seen; over black."""
    found: Tensor = _Composite.apply(shape, feature, lists)
    return found


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: Tensor, feature: Tensor, lists: TileLists) -> Tensor:
        keep, slices = any(ctx.needs_input_grad), []
        monomials, coefficients = _monomials(shape), _coefficients(shape.index_select(0, lists.splat), lists.centre)
        capped = bool((shape[:, 5] > math.log(MOST_ALPHA)).any())
        found = shape.new_zeros(len(lists.tile), TILE[0] * TILE[1], feature.shape[1])
        rows, depth = torch.arange(len(lists.tile), device=shape.device), 0
        room = _room(feature, len(rows))
        sums, light = found.clone(), shape.new_ones(found.shape[:2])
        start, length = lists.start, lists.length
        while len(rows):
            place, valid = _places(start, length, depth)
            depth += place.shape[1]
            own = coefficients.index_select(0, place.flatten())
            own[:, 0].masked_fill_(~valid.flatten(), UNSEEN)
            alpha = (own @ monomials).clamp_min_(FAINT).exp_().view(*place.shape, -1)
            torch.threshold_(alpha, LEAST_ALPHA, 0.0)
            if capped:
                alpha.clamp_max_(MOST_ALPHA)
            after = torch.cumprod(1 - alpha, 1).mul_(light[:, None])
            left = after[:, -1].clone()
            stops = bool(left.amin() <= LEAST_LIGHT)
            weight = _weights(alpha, light, after, stops)
            sums.baddbmm_(weight.mT, _rows(feature, lists.splat, place, room))
            if keep:
                slices.append(Slice(rows, place, alpha, light, stops))
            light, more = left, length > depth
            if stops:
                more &= light.amax(1) > LEAST_LIGHT
            number = int(more.sum())
            if number == 0 or number < ALIVE * len(rows):
                found[rows] = sums
                rows, start, length, light, sums = (t[more] for t in (rows, start, length, light, sums))
        ctx.slices, ctx.lists, ctx.capped = slices, lists, capped
        ctx.save_for_backward(shape, feature)
        return found

    @staticmethod
    @once_differentiable
    @explained_memory()
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (shape, feature), lists = ctx.saved_tensors, ctx.lists
        monomials, channels = _monomials(shape), gradient.shape[2]
        offset = shape[:, :2].index_select(0, lists.splat) - lists.centre
        # One table for all inputs, of a width that makes the sums by splat quick
        total = shape.new_zeros(len(shape), -(-(6 + channels) // 8) * 8)
        room = _room(feature, len(gradient))
        table = shape.new_zeros(len(room), total.shape[1])
        behind = gradient.new_zeros(gradient.shape[:2])  # what all that is behind has to do with the loss, by pixel
        rows, outer, rest = lists.start[:0], gradient[:0], behind[:0]
        for part in reversed(ctx.slices):
            if part.rows is not rows:
                behind[rows] = rest
                rows = part.rows
                outer, rest = gradient[rows], behind[rows]
            clear = 1 - part.alpha
            weight = _weights(part.alpha, part.light, torch.cumprod(clear, 1).mul_(part.light[:, None]), part.stops)
            share = torch.bmm(_rows(feature, lists.splat, part.place, room), outer.mT).mul_(weight)
            rest = rest + share.sum(1)
            hidden = torch.sub(rest[:, None], share.cumsum(1)).mul_(part.alpha)
            slope = share.addcdiv_(hidden, clear, value=-1)
            if ctx.capped:
                slope.masked_fill_(part.alpha >= MOST_ALPHA, 0.0)
            place = part.place.flatten()
            own = table[: len(place)]
            own[:, :6] = _moments(slope.flatten(0, 1) @ monomials.mT, offset.index_select(0, place))
            own[:, 6 : 6 + channels] = torch.bmm(weight, outer).flatten(0, 1)
            total.index_add_(0, lists.splat.index_select(0, place), own)
        return _shape_gradient(shape, total[:, :6]), total[:, 6 : 6 + channels], None


def _room(feature: Tensor, tiles: int) -> Tensor:
    """Memory for the features of any slice: to get it anew from the system for each would take longer than to fill it."""
    return feature.new_empty(max(VALUES // (TILE[0] * TILE[1]), SLICE[0] * tiles), feature.shape[1])


def _rows(feature: Tensor, splat: Tensor, place: Tensor, room: Tensor) -> Tensor:
    """The features of pairs, in `room`; [n s c]."""
    rows = room[: place.numel()]
    torch.index_select(feature, 0, splat.index_select(0, place.flatten()), out=rows)
    return rows.view(*place.shape, -1)


def _places(start: Tensor, length: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """The next pairs of each list, and which of them exist; [n s]."""
    splats = VALUES // (len(start) * TILE[0] * TILE[1])
    offset = torch.arange(depth, depth + min(max(splats, SLICE[0]), SLICE[1]), device=start.device)
    valid = offset < length[:, None]
    return (start[:, None] + offset).mul_(valid), valid


def _weights(alpha: Tensor, light: Tensor, after: Tensor, stops: bool) -> Tensor:
    """How much of each splat is seen, of the light that comes to the first and after each; [n s p]. Changes `after`."""
    weight = torch.empty_like(alpha)
    torch.mul(alpha[:, 0], light, out=weight[:, 0])
    torch.mul(alpha[:, 1:], after[:, :-1], out=weight[:, 1:])
    # 0 or 1 as numbers, which is quicker than a mask
    return weight.mul_(torch.threshold_(after, LEAST_LIGHT, 0.0).ceil_()) if stops else weight


def _monomials(like: Tensor) -> Tensor:
    """1, u, v, u², uv, v² of the pixels of a tile, from its centre; [6 p]."""
    sides = [torch.arange(side, dtype=like.dtype, device=like.device) + 0.5 - side / 2 for side in TILE]
    v, u = (t.flatten() for t in torch.meshgrid(*sides, indexing="ij"))
    return torch.stack([torch.ones_like(u), u, v, u * u, u * v, v * v])


def _coefficients(shape: Tensor, centre: Tensor) -> Tensor:
    """Of the monomials, to give the logarithm of what the splats cover; [m 6]."""
    x, y, xx, xy, yy, log_opacity = shape.unbind(1)
    u, v = x - centre[:, 0], y - centre[:, 1]
    along_u, along_v = xx * u + xy * v, yy * v + xy * u
    constant = log_opacity - (along_u * u + along_v * v) / 2
    return torch.stack([constant, along_u, along_v, xx / -2, -xy, yy / -2], 1)


def _moments(gradient: Tensor, offset: Tensor) -> Tensor:
    """The gradient of the logarithm, times each of 1, u, v, u², uv, v² from the splat instead of the tile's centre; [m 6]."""
    one, du, dv, duu, duv, dvv = gradient.unbind(1)
    u, v = offset.unbind(1)
    right, down = du - u * one, dv - v * one
    return torch.stack([one, right, down, duu - u * (du + right), duv - u * dv - v * right, dvv - v * (dv + down)], 1)


def _shape_gradient(shape: Tensor, moments: Tensor) -> Tensor:
    """The gradient of `shape`, of the sums of its moments; [k 6]."""
    _, _, xx, xy, yy, _ = shape.unbind(1)
    one, u, v, uu, uv, vv = moments.unbind(1)
    return torch.stack([xx * u + xy * v, xy * u + yy * v, uu / -2, -uv, vv / -2, one], 1)
