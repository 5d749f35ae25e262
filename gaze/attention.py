"""Attention in bfloat16 on processors that multiply such numbers but have no matrix unit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

LEAST_TOKENS = 256  # below it torch's own is as fast
# Of the scores of those heads that are computed together: what stays in the caches of a core, 2 heads of 1025 tokens.
SCORES_BYTES = 4_500_000


class QuickAttention(TorchFunctionMode):
    """Answers torch's attention by ours while inside, where that is faster."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and (given := _given(*args, **kwargs)) is not None:
            return Attention.apply(*(tensor.bfloat16() for tensor in given))
        return func(*args, **kwargs)


def as_now() -> AbstractContextManager[Any]:
    """The context in which attention is answered as it is here, for what is computed again later."""
    quick = any(isinstance(mode, QuickAttention) for mode in _get_current_function_mode_stack())
    return QuickAttention() if quick else nullcontext()


def pays(device: torch.device, dtype: torch.dtype) -> bool:
    """Can there be any attention in `dtype` that is faster here? To look at each call costs time, too."""
    return device.type == "cpu" and dtype == torch.bfloat16 and _pays()


class Attention(torch.autograd.Function):
    """softmax(q k' / sqrt d) v of b samples and a heads, by products of matrices, some heads at a time.

    torch's own multiplies small tiles one after the other in float32; whole matrices of bfloat16 use the processor's
    instructions for them. Scores and probabilities are rounded to bfloat16, as where torch does not fuse attention, and
    sums are float32. What all keys have in common changes no answer in exact numbers, and what all values have no
    gradient, so that it is taken away before scores and their gradients are rounded. Probabilities are computed again
    for the gradients, not kept.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Float[Tensor, "b a k d"], key: Float[Tensor, "b a j d"], value: Float[Tensor, "b a j d"]
    ) -> Float[Tensor, "b a k d"]:
        query, key = query * query.shape[-1] ** -0.5, key - key.mean(2, keepdim=True)
        mean = value.mean(2, keepdim=True) if any(ctx.needs_input_grad) else None
        value = value if mean is None else value - mean
        answer = torch.empty_like(query, memory_format=torch.contiguous_format)
        for some, room in _rooms(query, key):
            torch.softmax(torch.bmm(query[some], key[some].mT, out=room), -1, out=room)
            torch.bmm(room, value[some], out=answer[some])
        ctx.save_for_backward(query, key, value, answer)
        return answer if mean is None else answer + mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, key, value, answer = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        offset = (gradient * answer).sum(-1, keepdim=True)
        to = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for tensor in (query, key, value)]
        other = None
        for some, room in _rooms(query, key):
            torch.softmax(torch.bmm(query[some], key[some].mT, out=room), -1, out=room)
            other = torch.empty_like(room) if other is None else other[: len(room)]
            torch.bmm(room.mT, gradient[some], out=to[2][some])
            torch.bmm(gradient[some], value[some].mT, out=other)
            other.sub_(offset[some]).mul_(room)
            torch.bmm(other, key[some], out=to[0][some])
            torch.bmm(other.mT, query[some], out=to[1][some])
        return to[0] * query.shape[-1] ** -0.5, to[1], to[2]


def _rooms(query: Tensor, key: Tensor) -> Iterator[tuple[tuple[int, slice], Tensor]]:
    """Heads of one sample after the other that are computed together, and memory for their scores."""
    samples, heads = query.shape[:2]
    size = query.shape[2] * key.shape[2]
    together = max(1, min(heads, SCORES_BYTES // (size * query.element_size())))
    room = query.new_empty(together, query.shape[2], key.shape[2])
    for sample in range(samples):
        for first in range(0, heads, together):
            yield (sample, slice(first, first + together)), room[: heads - first]


@cache
def _pays() -> bool:
    """Does this processor multiply bfloat16 in wide registers, and only there? With a matrix unit torch's own uses it."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") and not able.get("amx_bf16"))


def _given(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """What torch's attention is asked about, by torch's own signature, if we can answer it as well."""
    if attn_mask is not None or dropout_p or is_causal or scale is not None or enable_gqa:
        return None
    if not pays(query.device, torch.bfloat16) or query.dim() != 4:
        return None
    if key.shape != value.shape or key.shape[:2] != query.shape[:2] or min(query.shape[2], key.shape[2]) < LEAST_TOKENS:
        return None
    lowered = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    able = (torch.bfloat16, torch.float32) if lowered else (torch.bfloat16,)
    return (query, key, value) if all(tensor.dtype in able for tensor in (query, key, value)) else None
