"""Who asks which expert: scores, the choice, and the weights of the chosen."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gaze.heatmaps import check_mode

Score = Literal["sigmoid", "softmax"]


class Routing(NamedTuple):
    """The choice of each token."""

    chosen: Int[Tensor, "t a"]  # experts, the best first
    weight: Float[Tensor, "t a"]  # of each; 0 for tokens that are not there
    logits: Float[Tensor, "t e"]
    score: Float[Tensor, "t e"]
    picked: Float[Tensor, "t e"]  # 1 where an expert is asked; 0 for tokens that are not there


class Router(nn.Module):
    """Scores experts in float32 and chooses the best few of a token.

    A bias takes part in the choice and in nothing else (DeepSeek-V3's balance without a loss): it is no
    parameter, and moves once in an optimizer step by what `settle` is told.

    Args:
        width: of the tokens.
        experts: to choose from.
        top_k: experts that a token asks.
        score: ``sigmoid`` of each logit, or their ``softmax``.
        route_scale: factor of the weights, which add up to 1 before it.
        bias_rate: what the bias moves by in a step; 0: it stays.
        noise: standard deviation of what is added to logits for the choice in training.
    """

    bias: Tensor

    def __init__(
        self,
        width: int,
        experts: int,
        top_k: int,
        score: str = "sigmoid",
        route_scale: float = 1.0,
        bias_rate: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        super().__init__()
        check_mode(score, Score, "moe.score")
        if not 1 <= top_k <= experts:
            raise ValueError(f"top_k is {top_k} of {experts} experts; expected 1 to {experts}: set fusion.top_k")
        self.experts, self.top_k, self.score = experts, top_k, score
        self.route_scale, self.bias_rate, self.noise = route_scale, bias_rate, noise
        self.weight = nn.Parameter(torch.randn(width, experts) * 0.02)
        self.register_buffer("bias", torch.zeros(experts))

    def forward(self, tokens: Float[Tensor, "t d"], seen: Bool[Tensor, "t"] | None = None) -> Routing:
        """The choice of each token; those that are not `seen` ask nobody."""
        if seen is not None:
            tokens = tokens.masked_fill(~seen[:, None], 0.0)  # NaN times 0 would be NaN in losses and gradients
        with torch.autocast(tokens.device.type, enabled=False):
            logits = tokens.float() @ self.weight.float()
            score = logits.sigmoid() if self.score == "sigmoid" else logits.softmax(-1)
            merit = score.detach() + self.bias.float()
            if self.noise and self.training:
                merit = merit + self.noise * torch.randn_like(merit)
            chosen = merit.topk(self.top_k, sorted=True).indices
            weight = score.gather(1, chosen)
            weight = weight / (weight.sum(1, keepdim=True) + 1e-20) * self.route_scale
            picked = torch.zeros_like(merit).scatter(1, chosen, 1.0)
            if seen is not None:
                weight, picked = weight * seen[:, None], picked * seen[:, None]
        return Routing(chosen, weight, logits, score, picked)

    @torch.no_grad()
    def settle(self, counts: Float[Tensor, "e"]) -> None:
        """Move the bias towards those asked less than the mean in a whole optimizer step, of all replicas."""
        self.bias += self.bias_rate * torch.sign(counts.mean() - counts).to(self.bias.dtype)
        self.bias -= self.bias.mean()  # in place: others hold this buffer
