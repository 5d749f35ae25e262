"""What may stand for a gaze direction in the aligned embedding: texts, learned codes, both, or nothing."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from gaze.codebooks.vq import Coded, VectorQuantizer


class Codebook(nn.Module):
    """The choice between the texts of gaze banks and learned codes.

    Args:
        width: of the embedding.
        anchors: vectors of the texts of gaze, from which codes start; None: there are none.
        text: match the gaze banks.
        vq: makes the learned codes of a width and anchors; None: no codes.
    """

    def __init__(
        self,
        width: int,
        anchors: Float[Tensor, "a e"] | None = None,
        text: bool = True,
        vq: Callable[..., VectorQuantizer] | None = None,
    ) -> None:
        super().__init__()
        self.text = text
        self.vq = None if vq is None else vq(width, anchors)

    def forward(self, embed: Float[Tensor, "b e"]) -> Coded | None:
        """The learned codes of embeddings; None if there are none."""
        coded: Coded | None = None if self.vq is None else self.vq(embed)
        return coded
