"""The layers of the direction encoder: attention whose queries and keys are normed, then a perceptron or experts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from timm.layers import DropPath
from torch import Tensor, nn

from gaze.moe.mixture import Mixed, SwiGLU


class RMSNorm(nn.Module):
    """Divides by the root of the mean square, in float32 whatever the number format."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b c"]:
        return F.rms_norm(x.float(), self.weight.shape, self.weight.float(), self.eps).to(x.dtype)


class NormedAttention(nn.Module):
    """Attention among tokens, from one projection to queries, keys and values, with a norm of queries and keys per head.

    Args:
        width: of the tokens.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"attention of width {width} with {heads} heads; expected a width that the heads divide: set fusion.heads"
            )
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.query_norm, self.key_norm = RMSNorm(width // heads), RMSNorm(width // heads)

    def forward(
        self, tokens: Float[Tensor, "b k c"], seen: Bool[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b k c"]:
        """What each token finds among those that are `seen`; at least one in each sample."""
        query, key, value = rearrange(self.qkv(tokens), "b k (s a d) -> s b a k d", s=3, a=self.heads)
        mask = None if seen is None else seen[:, None, None, :]
        query, key = self.query_norm(query), self.key_norm(key)
        attend = in_products if slow_backward(query) else F.scaled_dot_product_attention
        return self.out(rearrange(attend(query, key, value, mask), "b a k d -> b k (a d)"))


def slow_backward(query: Tensor) -> bool:
    """Will torch's fused attention go back through these tokens slowly? In bfloat16 a CPU takes nine times the forward pass."""
    short = query.device.type == "cpu" and query.dtype == torch.bfloat16
    return short and query.requires_grad and not torch.compiler.is_compiling()


def in_products(
    query: Float[Tensor, "b a q d"],
    key: Float[Tensor, "b a k d"],
    value: Float[Tensor, "b a k d"],
    mask: Bool[Tensor, "b 1 1 k"] | None = None,
) -> Float[Tensor, "b a q d"]:
    """Attention written out, in float32 whatever the number format: for some hundred tokens, whose scores fit in a cache."""
    with torch.autocast(query.device.type, enabled=False):
        scores = query.float() * query.shape[-1] ** -0.5 @ key.float().mT
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return (scores.softmax(-1) @ value.float()).to(value.dtype)


class DirectionBlock(nn.Module):
    """One layer: tokens add what attention finds, then what the perceptron makes of them.

    Args:
        width: of the tokens.
        heads: of the attention.
        mlp: called as `mlp(tokens, seen)` if it is a mixture.
        dropout: of what both add.
        drop_path: probability of leaving out what is added to a sample.
    """

    def __init__(self, width: int, heads: int, mlp: nn.Module, dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.attention, self.mlp = NormedAttention(width, heads), mlp
        self.attention_norm, self.mlp_norm = RMSNorm(width), RMSNorm(width)
        self.drop = nn.Sequential(nn.Dropout(dropout), DropPath(drop_path))

    def forward(self, tokens: Float[Tensor, "b k c"], seen: Bool[Tensor, "b k"] | None = None) -> Mixed:
        """The tokens after this layer, and what a mixture in it asks to minimise."""
        tokens = tokens + self.drop(self.attention(self.attention_norm(tokens), seen))
        normed = self.mlp_norm(tokens)
        mixed = Mixed(self.mlp(normed)) if isinstance(self.mlp, SwiGLU) else self.mlp(normed, seen)
        return mixed._replace(tokens=tokens + self.drop(mixed.tokens))
