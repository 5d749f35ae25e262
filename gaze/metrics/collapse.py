"""Says that a model answers the same whatever it is shown: figures alone may hide that for a whole training."""

from __future__ import annotations

import logging

import torch
from jaxtyping import Float
from torch import Tensor

logger = logging.getLogger(__name__)

FEWEST = 8  # predictions; fewer may agree by chance


class Collapse:
    """Warns once that predictions are constant.

    Args:
        what: is predicted, in the plural.
        hint: what to look at.
    """

    def __init__(self, what: str, hint: str) -> None:
        self.what, self.hint, self.warned = what, hint, False

    def look(self, lowest: Float[Tensor, "d"], highest: Float[Tensor, "d"], count: int) -> None:
        """Compare the lowest of `count` predictions with the highest, in each dimension."""
        if self.warned or count < FEWEST or not bool(torch.isfinite(lowest).all() & torch.isfinite(highest).all()):
            return
        spread, highest = (highest - lowest).detach().max(), highest.detach()
        if float(spread) > 1e-5 * float(highest.abs().max().clamp(min=1.0)):
            return
        self.warned = True
        place = ", ".join(f"{value:.4g}" for value in highest.tolist())
        logger.warning("all %d %s are (%s), spread %.1g: %s", count, self.what, place, float(spread), self.hint)
