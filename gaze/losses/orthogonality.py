"""Gaze, pose, expression and person told apart inside a renderer."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, Progress


class Orthogonality(Loss):
    """Embeddings of different factors shall be orthogonal, be read by disjoint subspaces, and vary from sample to sample.

    The last is what keeps the first from being met by embeddings that are all the same.

    Args:
        cosine: weight of the mean squared cosine between embeddings.
        overlap: weight of how much the subspaces overlap that read them.
        collapse: weight of how far their standard deviations are below 1.
        weight: of this term, a number or a schedule.
    """

    def __init__(
        self, cosine: float = 1.0, overlap: float = 1.0, collapse: float = 0.1, weight: float | Schedule = 0.01
    ) -> None:
        super().__init__(weight)
        self.parts = {"factor_cosine": cosine, "factor_overlap": overlap, "factor_collapse": collapse}

    def forward(self, prediction: Any, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        """Their weighted sum.

        Raises:
            ValueError: the model embeds no factors.
        """
        found = {name: getattr(prediction, name, None) for name in self.parts}
        missing = [name for name, value in found.items() if value is None]
        if missing:
            raise ValueError(
                f"orthogonality: the model says nothing of {', '.join(missing)}; take a renderer that embeds factors, "
                "as head=renderer_dit or head=renderer_unet with head.embedding=128, or take the loss out"
            )
        return sum(weight * found[name].float() for name, weight in self.parts.items())  # type: ignore[union-attr,return-value]
