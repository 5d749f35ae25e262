"""What a file or a rounded model is tried on: samples of the run's own validation split, or made-up pictures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from omegaconf import OmegaConf
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.runs import build, check
from gaze.types import Batch, collate

logger = logging.getLogger(__name__)


def validation_samples(dataset: Mapping[str, Any], most: int, otherwise: str) -> Batch[Any, Any] | None:
    """Samples of the validation split, spread evenly; None where the data are not on this machine.

    Args:
        dataset: plain config of the run's data set.
        most: how many.
        otherwise: what happens without them, for the log.
    """
    try:
        node = OmegaConf.create({"dataset": dict(dataset)})
        check(node)
        if "_target_" not in dataset:
            raise UserError("its config names no dataset._target_")
        data = build(node.dataset)(split="val")
        rows = torch.linspace(0, len(data) - 1, min(most, len(data))).round().int().tolist()
        return collate([data.sample(row, None) for row in rows])
    except (UserError, ValueError, OSError) as error:
        logger.warning("%s, since the run's data can't be read: %s", otherwise, error)
        return None


def patches(samples: int, size: int | Sequence[int], rng: torch.Generator) -> Float[Tensor, "b 3 H W"]:
    """Patches of colour with noise, of values that 8 bits can hold."""
    sides = [size, size] if isinstance(size, int) else list(size)
    coarse = nn.functional.interpolate(torch.rand(samples, 3, 5, 5, generator=rng), sides, mode="bilinear")
    noisy = coarse + 0.05 * torch.randn(samples, 3, *sides, generator=rng)
    return (noisy.clamp(0, 1) * 255).round() / 255
