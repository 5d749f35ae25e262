"""The gradient scaler: a dynamic loss scale for float16, and the skipping of bad updates for every format."""

from __future__ import annotations

import torch
from torch.amp import GradScaler


class Scaler(GradScaler):
    """A GradScaler whose scale stays 1 unless the number format needs one.

    Even with scale 1 it earns its keep: it finds gradients that are not finite and leaves the update
    out on the device, without the host waiting (fused optimizers read its flag themselves).

    Args:
        device: type of the device, "cpu" or "cuda".
        dynamic: adapt the scale to the gradients (float16).
    """

    def __init__(self, device: str, dynamic: bool) -> None:
        super().__init__(device, init_scale=65536.0 if dynamic else 1.0)
        self.dynamic = dynamic

    def update(self, new_scale: float | torch.Tensor | None = None) -> None:
        """Prepare for the next step; a scale that is not dynamic stays 1."""
        super().update(new_scale if self.dynamic else 1.0)
