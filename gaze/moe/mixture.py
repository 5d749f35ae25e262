"""What stands in the place of a transformer's perceptron: a mixture of experts, or one perceptron as wide as those in use."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from gaze.heatmaps import check_mode
from gaze.moe.balance import Scope, balance_loss, entropy, z_loss
from gaze.moe.experts import Backend, Experts, chosen_backend, swiglu
from gaze.moe.router import Router


class Mixed(NamedTuple):
    """Tokens after the perceptron, and what a mixture asks to minimise."""

    tokens: Float[Tensor, "b k d"]
    balance: Float[Tensor, ""] | None = None
    router_z: Float[Tensor, ""] | None = None


class SwiGLU(nn.Module):
    """`W2 (silu(W1 x) * W3 x)` without biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Float[Tensor, "*b d"]) -> Float[Tensor, "*b d"]:
        return self.down(swiglu(self.up(tokens)))


class Dense(nn.Module):
    """One perceptron for all tokens, as wide as the experts that a token of the mixture would ask together.

    Args:
        width: of the tokens.
        experts: are not built.
        top_k, shared, hidden: of the mixture in whose place it stands.
    """

    def __init__(self, width: int, experts: int, top_k: int, hidden: int, shared: int = 1) -> None:
        super().__init__()
        self.mlp = SwiGLU(width, (top_k + shared) * hidden)

    def forward(self, tokens: Float[Tensor, "b k d"], seen: Bool[Tensor, "b k"] | None = None) -> Mixed:
        return Mixed(self.mlp(tokens))


class Mixture(nn.Module):
    """DeepSeekMoE: experts of which each token asks a few, and one that all tokens ask.

    Args:
        width: of the tokens.
        experts: to choose from.
        top_k: experts that a token asks.
        hidden: of one expert.
        shared: experts that all ask, built as one perceptron of `shared * hidden`; 0: none.
        router: makes the router from width, experts and top_k.
        capacity_factor: most questions to an expert, in multiples of the mean, rounded up; those beyond get no
            answer, and the weights of a token's others stay. None: all are answered.
        scope: of the balance, the whole ``batch`` or each ``sequence``.
        backend: ``loop_sorted`` (one product per expert; waits for the device once), ``padded_bmm`` (blocks of one
            size, waits for nothing, any device and number format), ``grouped_mm`` (torch's; no float64),
            ``dense`` (all experts on all tokens, the reference), or ``auto``: grouped_mm in bfloat16 on CUDA,
            padded_bmm otherwise there and where compiled, dense where exported, or else loop_sorted.

    Attributes:
        counts: questions to each expert in training, since `restart`. Those of a forward pass that is made again for the
            backward pass (`gaze.recomputing`) count twice: numbers of the two attributes mean something beside each other.
        sums: entropy of the scores, tokens, questions, and questions without room since then.
    """

    def __init__(
        self,
        width: int,
        experts: int,
        top_k: int,
        hidden: int,
        shared: int = 1,
        router: Callable[..., Router] = Router,
        capacity_factor: float | None = None,
        scope: str = "batch",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_mode(scope, Scope, "moe.scope")
        check_mode(backend, Backend, "moe.backend")
        if capacity_factor is not None and capacity_factor <= 0:
            raise ValueError(
                f"moe.capacity_factor is {capacity_factor}; expected more than 0, or null: all are answered"
            )
        self.router = router(width=width, experts=experts, top_k=top_k)
        self.experts = Experts(width, hidden, experts)
        if backend == "grouped_mm" and not self.experts.aligned:
            raise ValueError(
                f"moe.backend is grouped_mm, with matrices of {width} x {hidden}; expected multiples of 8: set "
                "fusion.width and fusion.expert_hidden, or another backend"
            )
        self.shared = SwiGLU(width, shared * hidden) if shared else None
        self.capacity_factor, self.scope, self.backend = capacity_factor, scope, backend
        # No buffers: DDP would replace them by those of the first replica before each forward.
        self.counts, self.sums = torch.zeros(experts), torch.zeros(4)

    def forward(self, tokens: Float[Tensor, "b k d"], seen: Bool[Tensor, "b k"] | None = None) -> Mixed:
        """What the experts say to each token; to one that is not `seen` only the shared expert does."""
        flat, there = tokens.flatten(0, 1), None if seen is None else seen.flatten()
        routing = self.router(flat, there)
        backend = chosen_backend(self.backend, flat, self.experts.aligned)
        answers, dropped = self.experts(flat, routing, there, backend, self._capacity(flat.shape[0]))
        if self.training:
            with torch.no_grad():
                each = entropy(routing)
                each = each if there is None else each.masked_fill(~there, 0.0)
                asked = routing.picked.sum(0)
                self.counts += asked
                questions = asked.sum()
                self.sums += torch.stack([each.sum(), questions / self.router.top_k, questions, dropped])
        found = answers.unflatten(0, tokens.shape[:2])
        if self.shared is not None:
            found = found + self.shared(tokens)
        shape = (tokens.shape[0], tokens.shape[1])
        balance = balance_loss(routing, seen, shape, self.scope)
        return Mixed(found, balance, z_loss(routing, seen, self.router.score))

    def restart(self) -> None:
        """Count from zero."""
        self.counts.zero_()
        self.sums.zero_()

    def _capacity(self, tokens: int) -> int | None:
        """Questions that an expert answers of so many tokens."""
        if self.capacity_factor is None:
            return None
        most = math.ceil(self.capacity_factor * tokens * self.router.top_k / self.router.experts)
        return min(most, tokens)  # no token asks an expert twice

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        super()._apply(fn, recurse)
        self.counts, self.sums = fn(self.counts).float(), fn(self.sums).float()  # to the device, whatever the format
        return self
