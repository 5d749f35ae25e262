"""The objective: loss terms added with their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.losses.loss import Loss
from gaze.schedules import value_at
from gaze.types import Batch, Progress, Record


class Objective(nn.Module):
    """A weighted sum of named terms.

    Args:
        terms: name -> loss. A term whose weight is 0 at this step is not computed.

    Raises:
        ValueError: there are no terms, none has a weight, or one has no gradient in training.
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
        log: dict[str, Tensor] = {}
        parts: list[Tensor] = []
        for name, term in self.terms.items():
            weight = value_at(term.weight, progress)  # type: ignore[arg-type]  # a ModuleDict forgets what it holds
            if weight != 0:
                log[name] = term(prediction, batch, progress)
                self._check_moves(name, log[name], prediction)
                parts.append(log[name] if weight == 1 else weight * log[name])
        if not log:
            raise ValueError(f"every term of the loss has weight 0 at step {progress.step}; give one a weight above 0")
        total = reduce(torch.add, parts)
        return total, {name: value.detach() for name, value in {"loss": total, **log}.items()}

    def _check_moves(self, name: str, value: Tensor, prediction: Any) -> None:
        """Refuse a term that is a constant in training: it hides in the sum and teaches nothing.

        Only where gradients are asked for: not in validation, nor of predictions that nothing can learn from.
        """
        if value.requires_grad or not (self.training and torch.is_grad_enabled()):
            return
        if any(tensor.requires_grad for tensor in _tensors(prediction)):
            raise ValueError(
                f"loss.{name} moves no parameter: no trainable one has a part in its value; expected a gradient. Weight it "
                "0, take it out, or train what it is computed from"
            )


def _tensors(prediction: Any) -> Iterator[Tensor]:
    values = (getattr(prediction, f.name) for f in fields(prediction)) if isinstance(prediction, Record) else ()
    return (value for value in values if isinstance(value, Tensor))
