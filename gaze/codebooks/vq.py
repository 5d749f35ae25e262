"""Learned unit vectors of which the nearest stands for a picture: vector quantisation by moving averages."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from gaze.prompts.prompts import unit

COMMITMENT = 0.25  # of van den Oord et al. 2017


class Coded(NamedTuple):
    """What a codebook makes of queries."""

    vector: Float[Tensor, "b e"]  # the nearest code; its gradient goes to the query
    code: Int[Tensor, "b"]  # number of it
    commitment: Float[Tensor, ""]  # how far queries are from their codes


class VectorQuantizer(nn.Module):
    """Codes on the unit sphere, each the moving average of the queries that are nearest to it.

    Codes are buffers: training moves them without a gradient, and all replicas alike. A code that nothing has been
    near to for long begins anew at a query of the batch. It is drawn from torch's generator, which the trainer seeds
    for each step, so that a resumed run ends bit-identical.

    Args:
        width: of the embedding.
        anchors: unit vectors that the first codes start from, the others near them; None: at random.
        codes: how many.
        decay: of the averages, per forward pass.
        dead_share: a code is dead below this share of the mean use ...
        dead_steps: ... for that many forward passes.
        spread: how far from the anchors the other codes start, as the length of the noise.

    Raises:
        ValueError: a setting is out of range.
    """

    codes: Tensor
    use: Tensor
    total: Tensor
    idle: Tensor

    def __init__(
        self,
        width: int,
        anchors: Float[Tensor, "a e"] | None = None,
        codes: int = 64,
        decay: float = 0.99,
        dead_share: float = 0.01,
        dead_steps: int = 500,
        spread: float = 0.5,
    ) -> None:
        super().__init__()
        if codes < 2 or not 0 < decay < 1 or dead_steps < 1 or not 0 <= dead_share < 1:
            raise ValueError(
                f"codebook.vq: codes {codes}, decay {decay}, dead_share {dead_share}, dead_steps {dead_steps}; expected "
                "2 codes or more, decay between 0 and 1, dead_share from 0 to 1, and at least one step"
            )
        self.decay, self.dead_share, self.dead_steps = decay, dead_share, dead_steps
        self.query = nn.Linear(width, width, bias=False)
        nn.init.eye_(self.query.weight)
        noise = torch.randn(codes, width)
        if anchors is not None:
            rows = torch.arange(codes) % len(anchors)
            aside = spread * (torch.arange(codes) >= len(anchors))[:, None] * width**-0.5
            noise = anchors.detach()[rows] + aside * noise
        self.register_buffer("codes", unit(noise))
        self.register_buffer("use", torch.ones(codes))  # moving average of queries per code
        self.register_buffer("total", self.codes.clone())  # and of their sum
        self.register_buffer("idle", torch.zeros(codes, dtype=torch.long))  # passes in a row with hardly any use

    def forward(self, embed: Float[Tensor, "b e"]) -> Coded:
        """The nearest codes; in training they then move."""
        query = unit(self.query(embed.float()))
        code = (query.detach() @ self.codes.T).argmax(-1)
        nearest = self.codes[code]
        if self.training:
            self._move(query.detach(), code)
        commitment = COMMITMENT * (query - nearest).square().sum(-1).mean()
        return Coded(query + (nearest - query).detach(), code, commitment)

    def perplexity(self) -> Float[Tensor, ""]:
        """How many codes are in use: exp of the entropy of their use."""
        share = self.use / self.use.sum()
        return torch.special.entr(share).sum().exp()

    def dead(self) -> Int[Tensor, ""]:
        """How many codes are hardly used."""
        return (self.use < self.dead_share * self.use.mean()).sum()

    @torch.no_grad()
    def _move(self, query: Float[Tensor, "b e"], code: Int[Tensor, "b"]) -> None:
        chosen = F.one_hot(code, len(self.codes)).to(query.dtype)
        # In place, or DDP would go on sharing the tensors that it saw first
        self.use.lerp_(_of_all(chosen.sum(0)), 1 - self.decay)
        self.total.lerp_(_of_all(chosen.T @ query), 1 - self.decay)
        # Laplace smoothing of the use would scale a sum, not turn it: a code of unit length is the same without
        self.codes.copy_(F.normalize(self.total, dim=-1, eps=1e-30))
        low = self.use < self.dead_share * self.use.mean()
        self.idle.copy_(torch.where(low, self.idle + 1, 0))
        self._revive(query, self.idle >= self.dead_steps)

    def _revive(self, query: Float[Tensor, "b e"], dead: Tensor) -> None:
        # Drawn whether needed or not: asking would make the processor wait for the device
        drawn = query[torch.randint(len(query), (len(dead),), device=query.device)]
        if _replicas() > 1:
            dist.broadcast(drawn, src=0)
        mean = self.use.mean()
        self.codes.copy_(torch.where(dead[:, None], drawn, self.codes))
        self.total.copy_(torch.where(dead[:, None], drawn * mean, self.total))
        self.use.copy_(torch.where(dead, mean, self.use))
        self.idle.masked_fill_(dead, 0)


def _replicas() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _of_all(value: Tensor) -> Tensor:
    """The sum over all replicas."""
    if _replicas() > 1:
        dist.all_reduce(value)
    return value
