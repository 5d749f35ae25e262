"""Freezing is `requires_grad`, plus eval mode for whatever is wholly frozen, and nothing else.

Autograd records nothing through frozen modules whose inputs need no gradient, so they need no
`no_grad` of their own; the optimizer skips parameters without a gradient, so it can hold them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torch import nn


def set_trainable(parameters: Iterable[nn.Parameter], trainable: bool) -> None:
    """Freeze or thaw these parameters. Frozen ones drop their gradient, or the optimizer would go on applying it."""
    for parameter in parameters:
        parameter.requires_grad_(trainable)
        if not trainable:
            parameter.grad = None


def train_mode(module: nn.Module) -> None:
    """Put a module in training mode, except for the parts whose every parameter is frozen.

    A frozen batch norm must not update its statistics, and a frozen block must not drop paths.
    """
    parameters = list(module.parameters())
    if parameters and not any(p.requires_grad for p in parameters):
        module.eval()
        return
    module.training = True
    for child in module.children():
        train_mode(child)


class Count(NamedTuple):
    """Parameters of one part of a model."""

    part: str
    total: int
    trainable: int

    @property
    def frozen(self) -> int:
        """Parameters that training does not change."""
        return self.total - self.trainable


def count_parameters(model: nn.Module) -> list[Count]:
    """A row for each direct child of the model, one for parameters of its own if any, and the sum."""
    parts = [(name, list(child.parameters())) for name, child in model.named_children()]
    parts.append(("(own)", list(model.parameters(recurse=False))))
    parts.append(("model", list(model.parameters())))
    return [
        Count(name, sum(p.numel() for p in ps), sum(p.numel() for p in ps if p.requires_grad))
        for name, ps in parts
        if ps
    ]
