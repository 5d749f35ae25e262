"""What conditions a renderer: person, expression, pose and gaze, each embedded alone, and how far apart they stay."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.avatars.encoding import WIDTH, encoded
from gaze.types import FaceInputs

FACTORS = 4  # identity, expression, pose, gaze
MOMENTUM = 0.99  # of the mean that embeddings are centred by
MEMORY = 256  # embeddings of earlier steps, which small batches are seen beside
ALONE = 32  # samples: a batch of so many needs no memory
TINY = 1e-8


class Factored(NamedTuple):
    """The condition of a renderer, and the three figures that orthogonality minimises."""

    condition: Float[Tensor, "n w"]
    embedding: Float[Tensor, "n 4 e"]
    cosine: Float[Tensor, ""]
    overlap: Float[Tensor, ""]
    collapse: Float[Tensor, ""]


class Factors(nn.Module):
    """Four embeddings, and the condition that a perceptron makes of them together.

    Mean and memory are buffers: in training they move, the same in a resumed run; under DDP all replicas follow the
    first. In evaluation they rest, and no sample knows of another but through the three figures.

    Args:
        identity, expression: widths of these codes.
        width: of the condition.
        embedding: width of each factor's.
    """

    mean: Tensor
    memory: Tensor
    kept: Tensor

    # FSDP2 gathers them with this module: it reads their weights itself.
    reads_weights_of = ("mixer",)

    def __init__(self, identity: int, expression: int, width: int, embedding: int = 128) -> None:
        super().__init__()
        given = (identity, expression, 6 * WIDTH, 2 * WIDTH)
        self.embedders = nn.ModuleList(
            nn.Sequential(nn.Linear(wide, embedding), nn.SiLU(), nn.Linear(embedding, embedding)) for wide in given
        )
        self.mixer = nn.Sequential(nn.Linear(FACTORS * embedding, width), nn.SiLU(), nn.Linear(width, width))
        self.register_buffer("mean", torch.zeros(FACTORS, embedding))
        self.register_buffer("memory", torch.zeros(MEMORY, FACTORS, embedding))
        self.register_buffer("kept", torch.zeros((), dtype=torch.long))  # embeddings that were ever remembered

    def forward(self, inputs: FaceInputs, samples: int | None = None) -> Factored:
        """The condition of each view.

        Args:
            samples: how many of the first rows are heads of their own. What follows shows the same again: it has a
                condition, but is neither counted in the figures nor remembered. None: all.
        """
        given = (inputs.identity, inputs.expression, encoded(inputs.pose), encoded(inputs.gaze))
        embedding = torch.stack([embed(x) for embed, x in zip(self.embedders, given, strict=True)], 1)
        exact = embedding[:samples].float()
        with torch.autocast(exact.device.type, enabled=False):
            figures = (self._cosine(exact), self._overlap(), self._collapse(exact))
        if self.training:
            self._remember(exact.detach())
        return Factored(self.mixer(embedding.flatten(1)), embedding, *figures)

    def _cosine(self, embedding: Float[Tensor, "n 4 e"]) -> Float[Tensor, ""]:
        """Mean squared cosine between two factors' embeddings, each without its mean."""
        centred = embedding - self.mean
        product = centred @ centred.mT
        square = product.diagonal(dim1=1, dim2=2)
        return _of_pairs((product.square() / (square[:, :, None] * square[:, None, :] + TINY)).mean(0))

    def _overlap(self) -> Float[Tensor, ""]:
        """How much of each other's directions the first layer of the mixer reads, of two factors: 0 for disjoint ones.

        The squared norm of W_k^T W_l is the inner product of W_k W_k^T and W_l W_l^T, so that no pair needs a product.
        """
        layer: Any = self.mixer[0]
        first = layer.weight.float().unflatten(1, (FACTORS, -1)).transpose(0, 1)  # [4 w e]
        read = (first @ first.mT).flatten(1)
        square = first.square().sum((1, 2))
        return _of_pairs(read @ read.T / (square[:, None] * square + TINY))

    def _collapse(self, embedding: Float[Tensor, "n 4 e"]) -> Float[Tensor, ""]:
        """How much the standard deviation of an embedding's numbers falls short of 1 (VICReg's variance term)."""
        valid = embedding.new_ones(len(embedding))
        if len(embedding) < ALONE:
            filled = torch.arange(MEMORY, device=embedding.device) < self.kept
            embedding, valid = torch.cat([self.memory, embedding]), torch.cat([filled.to(valid), valid])
        share = (valid / valid.sum())[:, None, None]
        mean = (share * embedding).sum(0)
        variance = (share * (embedding - mean).square()).sum(0)
        return F.relu(1 - (variance + 1e-4).sqrt()).mean()  # the root of 0 has no gradient

    @torch.no_grad()
    def _remember(self, embedding: Float[Tensor, "n 4 e"]) -> None:
        # In place, or DDP would go on sharing the tensors that it saw first. The first batch is no average of zeros.
        first = self.kept == 0
        mean = embedding.mean(0)
        self.mean.copy_(torch.where(first, mean, torch.lerp(mean, self.mean, MOMENTUM)))
        new = embedding[-MEMORY:]
        place = (self.kept + torch.arange(len(new), device=new.device)) % MEMORY
        self.memory.index_copy_(0, place, new.to(self.memory.dtype))
        self.kept += len(new)


def _of_pairs(table: Float[Tensor, "k k"]) -> Float[Tensor, ""]:
    """The mean over pairs of different factors, of a symmetric table."""
    return (table.sum() - table.diagonal().sum()) / (table.numel() - len(table))
