"""Attention among the vectors of three streams, as in the deployed first version of ItrackerMHSA."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from gaze.fusions.attention import Attention


class ResidualNormMixing(nn.Module):
    """One layer of a transformer whose norms stand inside the residual branches, behind what they add.

    T + LN(MHA(T)), then T + LN(FFN(T)): neither the usual order nor the one with the norm in front, for which
    it has been mistaken. No positions and no dropout (arXiv 2107.01980).

    Args:
        width: of the tokens.
        heads: of the attention.
        inner: width of all heads together.
        hidden: width inside the perceptron.
    """

    def __init__(self, width: int, heads: int = 4, inner: int = 1024, hidden: int = 2048) -> None:
        super().__init__()
        self.attention = Attention(width, heads, inner)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "b k c"]) -> Float[Tensor, "b k c"]:
        tokens = tokens + self.attention_norm(self.attention(tokens, tokens))
        return tokens + self.mlp_norm(self.mlp(tokens))
