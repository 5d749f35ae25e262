"""How far the cells of two feature maps point apart, with a backward pass of its own that keeps nothing but the maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

TINY = 1e-10
VALUES = 1 << 16  # of a piece on a CPU: all that is made of it stays in the processor's cache


def unit_distance(
    found: Float[Tensor, "b c h w"], truth: Float[Tensor, "b c h w"], head: Float[Tensor, "c"]
) -> Float[Tensor, "b"]:
    """Mean over cells of the weighted squared difference of both maps, each cell's features at unit length.

    It is a level of LPIPS (Zhang et al. 2018, eq. 1). Computed in float32 whatever maps are in. Written as it stands,
    autograd keeps the difference and its square in float32: in bfloat16 four times as much as the map itself.

    Args:
        truth: has no gradient, and must not ask for one.
        head: weights of the channels.
    """
    distance: Tensor = _UnitDistance.apply(found, truth, head)
    return distance


class _UnitDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, found: Tensor, truth: Tensor, head: Tensor) -> Tensor:
        if ctx.needs_input_grad[1]:
            raise ValueError("unit_distance has no gradient for what is compared with; detach it")
        ctx.save_for_backward(found, truth, head)
        total = found.new_zeros(len(found), dtype=torch.float32)
        for sample, x, t in _pieces(found, truth):
            apart = _units(x)[0].sub_(_units(t)[0])
            total[sample] += apart.square_().mul_(head).sum((1, 2, 3))
        return total / (found.shape[2] * found.shape[3])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        found, truth, head = ctx.saved_tensors
        slope = torch.empty_like(found, memory_format=torch.channels_last)
        share = gradient * (2 / (found.shape[2] * found.shape[3]))
        for (sample, x, t), (_, out, _) in zip(_pieces(found, truth), _pieces(slope, slope), strict=True):
            unit, per_length = _units(x)
            apart = _units(t)[0].neg_().add_(unit).mul_(head).mul_(share[sample, None, None, None])
            along = (apart * unit).sum(-1, keepdim=True)  # what would only change the length
            out.copy_(apart.sub_(unit.mul_(along)).mul_(per_length))
        return slope, None, None


def _pieces(one: Tensor, other: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows of pictures of both maps, channels last, with the samples that they are of; on a GPU all at once."""
    ones, others = one.movedim(1, -1), other.movedim(1, -1)
    if one.device.type != "cpu":
        yield slice(None), ones, others
        return
    rows = max(1, VALUES // (one.shape[1] * one.shape[3]))
    for i in range(len(one)):
        for top in range(0, one.shape[2], rows):
            yield slice(i, i + 1), ones[i : i + 1, top : top + rows], others[i : i + 1, top : top + rows]


def _units(x: Tensor) -> tuple[Tensor, Tensor]:
    """Each cell at unit length, and the inverse of the length that it had; new tensors."""
    exact = x.float()
    per_length = exact.square().sum(-1, keepdim=True).add_(TINY).rsqrt_()
    return exact * per_length, per_length
