"""The blocks that every fusion with tokens is built from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from timm.layers import DropPath
from torch import Tensor, nn

from gaze.heatmaps import check_mode

Order = Literal["before", "after"]


class Attention(nn.Module):
    """Attention with several heads, from queries to the values of keys.

    Args:
        width: of the tokens.
        heads: of the attention.
        inner: width of all heads together; None: that of the tokens.
        dropout: of the attention weights.
    """

    def __init__(self, width: int, heads: int, inner: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        inner = inner or width
        if inner % heads:
            raise ValueError(f"attention of width {inner} with {heads} heads; expected a width that the heads divide")
        self.heads, self.dropout = heads, dropout
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)
        for linear in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(linear.weight)
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.zeros_(linear.bias)

    def forward(
        self,
        query: Float[Tensor, "b q c"],
        key: Float[Tensor, "b k c"],
        value: Float[Tensor, "b k c"] | None = None,
        seen: Bool[Tensor, "b k"] | None = None,
    ) -> Float[Tensor, "b q c"]:
        """What each query finds; `value` is `key` where it is not given, and keys that are not `seen` are passed over."""
        value = key if value is None else value
        split = [self._split(x) for x in (self.query(query), self.key(key), self.value(value))]
        mask = None if seen is None else seen[:, None, None, :]
        found = F.scaled_dot_product_attention(
            split[0], split[1], split[2], mask, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(rearrange(found, "b a q c -> b q (a c)"))

    def weights(self, query: Float[Tensor, "b q c"], key: Float[Tensor, "b k c"]) -> Float[Tensor, "b heads q k"]:
        """How much each query looks at each key; for pictures and tests."""
        queries, keys = self._split(self.query(query)), self._split(self.key(key))
        return (queries @ keys.transpose(-1, -2) / queries.shape[-1] ** 0.5).softmax(-1)

    def _split(self, tokens: Float[Tensor, "b k c"]) -> Float[Tensor, "b heads k d"]:
        return rearrange(tokens, "b k (a d) -> b a k d", a=self.heads)


class Block(nn.Module):
    """Attention, then a perceptron, each with a residual around it: one layer of a transformer.

    Args:
        width: of the tokens.
        heads: of the attention.
        hidden: width inside the perceptron.
        activation: makes the perceptron's.
        norm: ``before`` attention and perceptron, or ``after`` the residual is added.
        cross: look at a context, not at the tokens themselves.
        inner: width of the attention's heads together; None: `width`.
        dropout: of attention weights, inside the perceptron and of what each residual adds.
        drop_path: probability of leaving a sample's residual out.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        activation: Callable[[], nn.Module] = nn.GELU,
        norm: str = "before",
        cross: bool = False,
        inner: int | None = None,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        check_mode(norm, Order, "norm")
        self.before, self.cross = norm == "before", cross
        self.attention = Attention(width, heads, inner, dropout)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), activation(), nn.Dropout(dropout), nn.Linear(hidden, width))
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.context_norm = nn.LayerNorm(width) if cross and self.before else nn.Identity()
        self.drop = nn.Sequential(nn.Dropout(dropout), DropPath(drop_path))

    def forward(
        self,
        tokens: Float[Tensor, "b k c"],
        context: Float[Tensor, "b m c"] | None = None,
        position: Float[Tensor, "1 k c"] | None = None,
        seen: Bool[Tensor, "b s"] | None = None,
    ) -> Float[Tensor, "b k c"]:
        """The tokens after this layer.

        Args:
            tokens: what asks.
            context: what is looked at, for a block that is `cross`.
            position: added to queries and keys, not to values, of a block that looks at its own tokens.
            seen: which of the tokens, or of the context, may be looked at; at least one in each sample.
        """
        assert (context is not None) == self.cross
        query = self.attention_norm(tokens) if self.before else tokens
        value = query if context is None else self.context_norm(context)
        key = value
        if position is not None:
            query = key = query + position
        tokens = tokens + self.drop(self.attention(query, key, value, seen))
        if self.before:
            return tokens + self.drop(self.mlp(self.mlp_norm(tokens)))
        tokens = self.attention_norm(tokens)
        return self.mlp_norm(tokens + self.drop(self.mlp(tokens)))
