"""Tokens to the experts they ask, and the answers back: put in order once, then nothing but gathers, in both directions."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable


class Plan(NamedTuple):
    """Which slot answers which of the t * a questions (question = token * a + rank of the choice)."""

    source: Int[Tensor, "n"]  # question in each slot; t * a: none
    place: Int[Tensor, "t a"]  # slot of each question; n: none
    holes: bool  # may there be slots or questions with none?
    ends: Int[Tensor, "e"]  # slots are sorted by expert: where each one's end
    blocks: Int[Tensor, "m"] | None = None  # expert of each block of slots
    size: int = 0  # slots in a block
    kept: Bool[Tensor, "t a"] | None = None  # questions within the capacity; None: all


def sorted_plan(
    chosen: Int[Tensor, "t a"], picked: Float[Tensor, "t e"], seen: Bool[Tensor, "t"] | None, capacity: int | None
) -> Plan:
    """Slots one behind the other by expert, in the order of tokens; no slot is empty.

    Questions of tokens that are not there stand behind the last end.
    """
    expert, order, place = _ordered(chosen, picked.shape[1], seen)
    ends = picked.sum(0).long().cumsum(0)
    kept = None
    if capacity is not None:
        starts = torch.cat([ends.new_zeros(1), ends])  # those that are not there begin at the last end
        kept = place - starts[expert] < capacity
    return Plan(order, place, False, ends, kept=kept)


def padded_plan(
    chosen: Int[Tensor, "t a"], picked: Float[Tensor, "t e"], seen: Bool[Tensor, "t"] | None, capacity: int | None
) -> Plan:
    """Blocks of slots of a size that depends on shapes alone, so that nothing waits for the device.

    With a capacity each expert has one block of it. Without, blocks are as large as the mean load: an expert
    takes as many as it needs, and all together never more than twice as many as there are experts.
    """
    experts, questions = picked.shape[1], chosen.numel()
    told = picked.long().cumsum(0)  # no sort, which ONNX does not promise to be stable
    counts, rank = told[-1], told.gather(1, chosen) - 1  # among the questions to the same expert
    if capacity is None:
        size, blocks = (questions + experts - 1) // experts, 2 * experts
        used = (counts + size - 1) // size
        first = torch.cat([used.new_zeros(1), used.cumsum(0)])
        numbers = torch.arange(blocks, device=chosen.device)
        owner = (numbers[:, None] >= first[None, 1:]).sum(1).clamp(max=experts - 1)
        kept, begin = None, first[chosen] * size
    else:
        size, blocks = capacity, experts
        owner = torch.arange(experts, device=chosen.device)
        kept, begin = rank < capacity, chosen * size
    slots = blocks * size
    place = begin + rank if kept is None else torch.where(kept, begin + rank, slots)
    place = place if seen is None else torch.where(seen[:, None], place, slots)
    source = torch.full((slots + 1,), questions, device=chosen.device)
    source = source.scatter(0, place.flatten(), torch.arange(questions, device=chosen.device))[:slots]
    return Plan(source, place, True, torch.empty(0), owner, size, kept)


def _ordered(chosen: Tensor, experts: int, seen: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Expert of each question (`experts`: of a token that is not there), the questions sorted by it, and the inverse."""
    expert = chosen if seen is None else torch.where(seen[:, None], chosen, experts)
    # Keys of 16 bits sort by radix, several times faster; a mixture with more experts than that does not exist.
    order = expert.flatten().to(torch.int16).argsort(stable=True)
    numbers = torch.arange(order.numel(), device=order.device)
    return expert, order, torch.empty_like(order).scatter(0, order, numbers).view_as(chosen)


class Spread(torch.autograd.Function):
    """The token in each slot. Backward sums the slots of a token by gathering them: no atomics, always the same."""

    @staticmethod
    def forward(ctx: Any, tokens: Float[Tensor, "t d"], plan: Plan) -> Float[Tensor, "n d"]:
        ctx.plan = plan
        return _spread(tokens, plan)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "n d"]) -> tuple[Tensor, None]:
        return _collected(grad, ctx.plan), None


class Collect(torch.autograd.Function):
    """The sum of each token's slots: `Spread` the other way round."""

    @staticmethod
    def forward(ctx: Any, slots: Float[Tensor, "n d"], plan: Plan) -> Float[Tensor, "t d"]:
        ctx.plan = plan
        return _collected(slots, plan)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "t d"]) -> tuple[Tensor, None]:
        return _spread(grad, ctx.plan), None


def slot_weights(weight: Float[Tensor, "t a"], plan: Plan) -> Float[Tensor, "n"]:
    """The weight of the question in each slot; 0 in an empty one and beyond the capacity."""
    weight = weight if plan.kept is None else weight * plan.kept
    flat = weight.flatten()
    return (F.pad(flat, (0, 1)) if plan.holes else flat)[plan.source]


def slot_tokens(plan: Plan) -> Int[Tensor, "n"]:
    """The token in each slot. An empty one computes with the last token, and counts nothing."""
    token = torch.div(plan.source, plan.place.shape[1], rounding_mode="floor")
    return token.clamp(max=plan.place.shape[0] - 1) if plan.holes else token


def _spread(tokens: Tensor, plan: Plan) -> Tensor:
    return tokens.index_select(0, slot_tokens(plan))


def _collected(slots: Tensor, plan: Plan) -> Tensor:
    slots = F.pad(slots, (0, 0, 0, 1)) if plan.holes else slots
    parts = slots.index_select(0, plan.place.flatten()).unflatten(0, plan.place.shape)
    return parts.sum(1, dtype=wide(slots.dtype)).to(slots.dtype)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Where sums of numbers in this format are kept."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
