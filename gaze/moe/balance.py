"""What keeps a router in order: even use of experts, and logits that stay small."""

from __future__ import annotations

from typing import Literal

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.moe.router import Routing

Scope = Literal["batch", "sequence"]


def balance_loss(
    routing: Routing, seen: Bool[Tensor, "b k"] | None, shape: tuple[int, int], scope: str = "batch"
) -> Float[Tensor, ""]:
    """E times the sum over experts of their share of choices and their mean share of scores (GShard, Switch).

    1 where use is even, E where one expert has everything. The choices have no gradient.

    Args:
        routing: of b * k tokens.
        seen: tokens that are there; None: all.
        shape: (b, k).
        scope: over the whole ``batch``, or the mean over each ``sequence`` of it.
    """
    share = routing.score / (routing.score.sum(-1, keepdim=True) + 1e-20)
    there = share.new_ones(shape) if seen is None else seen.to(share.dtype)
    picked, share = (rearrange(x, "(b k) e -> b k e", b=shape[0]) for x in (routing.picked, share))
    share = share.masked_fill(there[..., None] == 0, 0.0)
    if scope == "batch":
        picked, share, there = (x.flatten(0, 1)[None] for x in (picked, share, there))
    asked = picked.sum(1) / picked.sum((1, 2)).clamp(min=1.0)[:, None]
    mean = share.sum(1) / there.sum(1).clamp(min=1.0)[:, None]
    return picked.shape[-1] * (asked.detach() * mean).sum(-1).mean()


def z_loss(routing: Routing, seen: Bool[Tensor, "b k"] | None, score: str) -> Float[Tensor, ""]:
    """The mean square of the logits, or for ``softmax`` of their log-sum-exp (ST-MoE), over tokens that are there."""
    squares = routing.logits.square().mean(-1) if score == "sigmoid" else routing.logits.logsumexp(-1).square()
    if seen is None:
        return squares.mean()
    there = seen.flatten()
    return squares.masked_fill(~there, 0.0).sum() / there.sum().clamp(min=1)


def max_violation(counts: Float[Tensor, "*l e"]) -> Float[Tensor, "*l"]:
    """How far the busiest expert is above the mean, as a share of it (MaxVio); 0 is even use."""
    return counts.amax(-1) / counts.mean(-1).clamp(min=1e-9) - 1


def entropy(routing: Routing) -> Float[Tensor, "t"]:
    """Of each token's scores as shares, in nats; ln E for a router without an opinion."""
    share = routing.score / (routing.score.sum(-1, keepdim=True) + 1e-20)
    return -(share * share.clamp(min=1e-20).log()).sum(-1)
