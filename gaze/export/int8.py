"""Weights in 8 bits: a quarter of the size, in every kind of file alike."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int8
from torch import Tensor, nn
from torch.nn.utils import parametrize

LEAST = 1024  # numbers in a weight; smaller ones are not worth it
WHOLE = 127  # steps on each side of 0


class EightBits(nn.Module):
    """A weight as int8, and a scale for each of its output channels; their product is float32 without a cast."""

    def forward(self, steps: Int8[Tensor, "o *i"], scale: Float[Tensor, "o *one"]) -> Float[Tensor, "o *i"]:
        return steps * scale

    def right_inverse(self, weight: Float[Tensor, "o *i"]) -> tuple[Int8[Tensor, "o *i"], Float[Tensor, "o *one"]]:
        """The nearest steps, symmetric about 0."""
        largest = weight.flatten(1).abs().amax(1).clamp(min=torch.finfo(weight.dtype).tiny)
        scale = (largest / WHOLE).reshape(-1, *[1] * (weight.dim() - 1))
        return (weight / scale).round().clamp(-WHOLE, WHOLE).to(torch.int8), scale


def in_eight_bits(model: nn.Module, keep: nn.Module | None = None) -> nn.Module:
    """A copy of a frozen model whose linear layers and convolutions have int8 weights.

    Args:
        keep: a part that keeps its weights: the last layers, whose error nothing behind them mends.
    """
    kept = set() if keep is None else {name for name, module in model.named_modules() if _within(module, keep)}
    changed = copy.deepcopy(model)
    for name, module in list(changed.named_modules()):
        large = isinstance(module, (nn.Linear, nn.Conv2d)) and module.weight.numel() >= LEAST
        if large and name not in kept:
            parametrize.register_parametrization(module, "weight", EightBits(), unsafe=True)
    return changed


def _within(module: nn.Module, whole: nn.Module) -> bool:
    return any(part is module for part in whole.modules())
