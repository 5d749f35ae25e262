"""Attention in bfloat16 on processors that multiply such numbers but have no matrix unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

LEAST_TOKENS = 256  # below it torch's own is as fast
# Of the scores of those heads that are computed together: what stays in the caches of a core, 2 heads of 1025 tokens.
SCORES_BYTES = 4_500_000


class QuickAttention(TorchFunctionMode):
    """Answers torch's attention by `attend` while inside, where that is faster and nothing is differentiated."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention and _can(*args, **kwargs):
            return attend(*(tensor.bfloat16() for tensor in args[:3]))
        return func(*args, **kwargs)


def attend(
    query: Float[Tensor, "b a k d"], key: Float[Tensor, "b a j d"], value: Float[Tensor, "b a j d"]
) -> Float[Tensor, "b a k d"]:
    """softmax(q k' / sqrt d) v of b samples and a heads, by products of matrices, some heads at a time.

    torch's own multiplies small tiles one after the other in float32; whole matrices of bfloat16 use the processor's
    instructions for them. Scores are rounded to bfloat16, as where torch does not fuse attention, and sums are float32.
    """
    samples, heads, tokens, _ = query.shape
    query = (query * query.shape[-1] ** -0.5).contiguous()
    answer = torch.empty_like(query)
    together = max(1, min(heads, SCORES_BYTES // (tokens * key.shape[2] * query.element_size())))
    scores = query.new_empty(together, tokens, key.shape[2])
    for sample in range(samples):
        for first in range(0, heads, together):
            some = slice(first, first + together)
            room = scores[: min(together, heads - first)]
            torch.bmm(query[sample, some], key[sample, some].transpose(1, 2), out=room)
            torch.softmax(room, -1, out=room)
            torch.bmm(room, value[sample, some], out=answer[sample, some])
    return answer


@cache
def _pays() -> bool:
    """Does this processor multiply bfloat16 in wide registers, and only there? With a matrix unit torch's own uses it."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") and not able.get("amx_bf16"))


def _can(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, **options: Any) -> bool:
    if attn_mask is not None or any(options.values()) or query.device.type != "cpu" or not _pays():
        return False
    if query.dim() != 4 or key.shape != value.shape or key.shape[:2] != query.shape[:2]:
        return False
    lowered = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    if min(query.shape[2], key.shape[2]) < LEAST_TOKENS or not (lowered or query.dtype == torch.bfloat16):
        return False
    return not (torch.is_grad_enabled() and (query.requires_grad or key.requires_grad or value.requires_grad))
