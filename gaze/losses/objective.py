"""The objective: loss terms added with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.losses.loss import Loss
from gaze.schedules import value_at
from gaze.types import Batch, Progress


class Objective(nn.Module):
    """A weighted sum of named terms.

    Args:
        terms: name -> loss. A term whose weight is 0 at this step is not computed.

    Raises:
        ValueError: there are no terms, or none has a weight.
    """

    def __init__(self, terms: Mapping[str, Loss]) -> None:
        super().__init__()
        if not terms:
            raise ValueError("the loss has no terms; choose at least one, such as loss=[heatmap_bce]")
        if "loss" in terms:
            raise ValueError("a loss term is named 'loss', which is the name of the sum; rename it")
        self.terms = nn.ModuleDict(terms)

    def forward(
        self, prediction: Any, batch: Batch, progress: Progress
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The sum to minimise, and it (as `loss`) with its unweighted terms, detached, for the log."""
        total = torch.zeros((), device=batch.index.device)
        log: dict[str, Tensor] = {}
        for name, term in self.terms.items():
            weight = value_at(term.weight, progress)  # type: ignore[arg-type]  # a ModuleDict forgets what it holds
            if weight != 0:
                log[name] = term(prediction, batch, progress)
                total = total + weight * log[name]
        if not log:
            raise ValueError(f"every term of the loss has weight 0 at step {progress.step}; give one a weight above 0")
        return total, {name: value.detach() for name, value in {"loss": total, **log}.items()}
