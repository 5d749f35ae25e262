"""Layers of a diffusion transformer (DiT; Peebles and Xie, ICCV 2023), which a condition modulates."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn


class Modulation(nn.Module):
    """Vectors that shift, scale or open a gate, made of a condition; all zero at the start (adaLN-Zero).

    Args:
        width: of the tokens and of the condition.
        count: of the vectors.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count, self.linear = count, nn.Linear(width, count * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n 1 d"], ...]:
        return self.linear(F.silu(condition))[:, None].chunk(self.count, -1)


def modulated(
    tokens: Float[Tensor, "n k d"], shift: Float[Tensor, "n 1 d"], scale: Float[Tensor, "n 1 d"]
) -> Float[Tensor, "n k d"]:
    """Tokens normed, without weights of their own, then scaled by 1 + `scale` and shifted."""
    return F.layer_norm(tokens, tokens.shape[-1:], eps=1e-6) * (1 + scale) + shift


class DiTBlock(nn.Module):
    """Attention among tokens, then a perceptron; each is modulated before and gated after. At the start it does nothing.

    Args:
        width: of the tokens.
        heads: of the attention.
        mlp_ratio: of the perceptron's width to the tokens'.

    Raises:
        ValueError: the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"head.heads is {heads} of head.width {width}; expected a number that divides it")
        self.heads = heads
        self.modulation = Modulation(width, 6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        hidden = int(mlp_ratio * width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU("tanh"), nn.Linear(hidden, width))
        for linear in (self.qkv, self.out, self.mlp[0], self.mlp[2]):
            nn.init.xavier_uniform_(linear.weight)  # type: ignore[arg-type]
            nn.init.zeros_(linear.bias)  # type: ignore[arg-type]

    def forward(self, tokens: Float[Tensor, "n k d"], condition: Float[Tensor, "n d"]) -> Float[Tensor, "n k d"]:
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(condition)
        tokens = tokens + gate * self._attention(modulated(tokens, shift, scale))
        return tokens + mlp_gate * self.mlp(modulated(tokens, mlp_shift, mlp_scale))

    def _attention(self, tokens: Tensor) -> Tensor:
        query, key, value = rearrange(self.qkv(tokens), "n k (s a d) -> s n a k d", s=3, a=self.heads)
        return self.out(rearrange(F.scaled_dot_product_attention(query, key, value), "n a k d -> n k (a d)"))
