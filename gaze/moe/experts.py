"""The experts themselves, stacked, and the ways to compute them that all give the same."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gaze.moe.dispatch import Collect, Plan, Spread, padded_plan, slot_tokens, slot_weights, sorted_plan, wide
from gaze.moe.router import Routing

Backend = Literal["auto", "loop_sorted", "padded_bmm", "grouped_mm", "dense"]


class Experts(nn.Module):
    """Perceptrons without biases, `W2 (silu(W1 x) * W3 x)`, one behind the other in two tensors.

    Args:
        width: of the tokens.
        hidden: of one expert.
        experts: how many.
    """

    def __init__(self, width: int, hidden: int, experts: int) -> None:
        super().__init__()
        self.aligned = width % 8 == 0 and hidden % 8 == 0  # to 16 bytes in a format of half the bits
        self.up = nn.Parameter(torch.empty(experts, width, 2 * hidden).uniform_(-1, 1) / width**0.5)  # W1 beside W3
        self.down = nn.Parameter(torch.empty(experts, hidden, width).uniform_(-1, 1) / hidden**0.5)

    def forward(
        self, tokens: Float[Tensor, "t d"], routing: Routing, seen: Tensor | None, backend: str, capacity: int | None
    ) -> tuple[Float[Tensor, "t d"], Float[Tensor, ""]]:
        """The weighted answers to each token, and how many questions found no room."""
        dtype = _number_format(tokens)
        tokens, up, down = (x.to(dtype) for x in (tokens, self.up, self.down))
        if seen is not None:
            tokens = tokens.masked_fill(~seen[:, None], 0.0)  # what is not there may be NaN
        with torch.autocast(tokens.device.type, enabled=False):
            if backend == "dense" and capacity is None:
                return _dense(tokens, routing, routing.weight, up, down), tokens.new_zeros((), dtype=torch.float32)
            planned = sorted_plan if backend in ("loop_sorted", "grouped_mm") else padded_plan
            plan = planned(routing.chosen, routing.picked, seen, capacity)
            dropped = _dropped(plan, seen, tokens)
            if backend == "dense":
                assert plan.kept is not None
                return _dense(tokens, routing, routing.weight * plan.kept, up, down), dropped
            weight = slot_weights(routing.weight, plan)
            if backend == "loop_sorted":
                return _Loop.apply(tokens, up, down, weight, slot_tokens(plan), plan.ends.tolist()), dropped
            rows = Spread.apply(tokens, plan)
            if backend == "padded_bmm":
                answers = _padded(rows, up, down, weight, plan)
            else:
                answers = _grouped(rows, up, down, weight, plan.ends)
            return Collect.apply(answers, plan), dropped


def swiglu(both: Float[Tensor, "*n h2"]) -> Float[Tensor, "*n h"]:
    """The first half, through a SiLU, times the second."""
    gate, value = both.chunk(2, -1)
    return F.silu(gate) * value


def chosen_backend(backend: str, tokens: Tensor, aligned: bool) -> str:
    """What ``auto`` means here: the fastest that this device and number format have, and ``dense`` for an export.

    A few tokens are quick in any way, and an exported graph is of plain products for any number of them.

    Args:
        backend: as asked for.
        tokens: that are to be answered.
        aligned: do the experts' matrices fit torch's grouped product?
    """
    if backend != "auto":
        return backend
    if torch.compiler.is_exporting():
        return "dense"
    if tokens.is_cuda and aligned and _number_format(tokens) == torch.bfloat16:
        return "grouped_mm"
    # A loop over experts asks the device for their loads, in each layer: there it is for debugging only.
    return "padded_bmm" if tokens.is_cuda or torch.compiler.is_compiling() else "loop_sorted"


def _number_format(tokens: Tensor) -> torch.dtype:
    kind = tokens.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tokens.dtype


def _dropped(plan: Plan, seen: Tensor | None, tokens: Tensor) -> Tensor:
    if plan.kept is None:
        return torch.zeros((), device=tokens.device)
    lost = ~plan.kept if seen is None else ~plan.kept & seen[:, None]
    return lost.sum().float()


def _dense(tokens: Tensor, routing: Routing, weight: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """Every expert asked about every token: the definition, and the reference of all others."""
    gates = torch.zeros_like(routing.score).scatter(1, routing.chosen, weight)
    answers = torch.einsum("teh,ehd->ted", swiglu(torch.einsum("td,edf->tef", tokens, up)), down)
    return (gates[..., None] * answers).sum(1).to(tokens.dtype)


def _grouped(rows: Tensor, up: Tensor, down: Tensor, weight: Tensor, ends: Int[Tensor, "e"]) -> Tensor:
    # Rows of tokens that are not there, at the end and with a weight of 0, go to the last expert.
    offsets = torch.cat([ends[:-1], ends.new_full((1,), rows.shape[0])]).to(torch.int32)
    hidden = swiglu(F.grouped_mm(rows, up, offs=offsets))
    # The last product is linear, so the weight may come before it, where rows are narrower.
    return F.grouped_mm((hidden * weight[:, None]).to(rows.dtype), down, offs=offsets)


def _padded(rows: Tensor, up: Tensor, down: Tensor, weight: Tensor, plan: Plan) -> Tensor:
    assert plan.blocks is not None
    shape = (plan.blocks.numel(), plan.size)
    blocks = rows.unflatten(0, shape)
    hidden = swiglu(blocks @ up.index_select(0, plan.blocks))
    hidden = (hidden * weight.unflatten(0, shape)[..., None]).to(rows.dtype)
    return (hidden @ down.index_select(0, plan.blocks)).flatten(0, 1)


class _Loop(torch.autograd.Function):
    """One expert after the other. What an expert needs stays in the cache from the first product to the last."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: Float[Tensor, "t d"],
        up: Float[Tensor, "e d f"],
        down: Float[Tensor, "e h d"],
        weight: Float[Tensor, "n"],
        token: Int[Tensor, "n"],
        ends: list[int],
    ) -> Float[Tensor, "t d"]:
        found = torch.zeros_like(tokens, dtype=wide(tokens.dtype))
        kept = []
        for expert, (begin, end) in enumerate(pairwise([0, *ends])):
            rows = token[begin:end]
            both = tokens.index_select(0, rows) @ up[expert]
            gate, value = both.chunk(2, -1)
            hidden = F.silu(gate).mul_(value).mul_(weight[begin:end, None])
            # A token asks an expert once, so no row is added to twice at a time: the same sum on every device.
            found.index_add_(0, rows, (hidden @ down[expert]).to(found.dtype))
            kept.append(both)
        ctx.save_for_backward(tokens, up, down, weight, token, *kept)
        ctx.ends = ends
        return found.to(tokens.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "t d"]) -> tuple[Tensor | None, ...]:
        tokens, up, down, weight, token, *kept = ctx.saved_tensors
        grad_tokens = torch.zeros_like(tokens, dtype=wide(tokens.dtype))
        grad_up, grad_down, grad_weight = (torch.empty_like(x) for x in (up, down, weight))
        grad_weight[ctx.ends[-1] :] = 0.0  # tokens that are not there
        for expert, ((begin, end), both) in enumerate(zip(pairwise([0, *ctx.ends]), kept, strict=True)):
            rows, part = token[begin:end], weight[begin:end, None]
            answer = grad.index_select(0, rows)
            gate, value = both.chunk(2, -1)
            activated = F.silu(gate)
            hidden = activated * value
            grad_hidden = answer @ down[expert].t()
            torch.sum(grad_hidden * hidden, -1, dtype=weight.dtype, out=grad_weight[begin:end])
            torch.mm(hidden.mul_(part).t(), answer, out=grad_down[expert])
            grad_hidden.mul_(part)
            grad_both = torch.empty_like(both)
            into_gate, into_value = grad_both.chunk(2, -1)
            torch.mul(grad_hidden, activated, out=into_value)
            torch.ops.aten.silu_backward.grad_input(grad_hidden.mul_(value), gate, grad_input=into_gate)
            torch.mm(tokens.index_select(0, rows).t(), grad_both, out=grad_up[expert])
            grad_tokens.index_add_(0, rows, (grad_both @ up[expert].t()).to(grad_tokens.dtype))
        return grad_tokens.to(tokens.dtype), grad_up, grad_down, grad_weight, None, None
