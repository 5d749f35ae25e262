"""The gradient scaler: a dynamic loss scale for float16, and the leaving out of bad updates for every format."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer


class Scaler(GradScaler):
    """Makes the gradients and takes the step, and leaves the step out where loss or gradients are not finite.

    That is decided on the device, without the host waiting, where the optimizer is a fused one, which reads a flag there.

    Args:
        device: type of the device, "cpu" or "cuda".
        dynamic: scale the loss, and adapt the scale to the gradients (float16). Without it torch's own part has nothing to do.
    """

    def __init__(self, device: str, dynamic: bool) -> None:
        super().__init__(device, init_scale=65536.0, enabled=dynamic)
        self.dynamic = dynamic

    def backward(self, loss: Tensor, passes: int) -> None:
        """Add the gradients of a loss that is one of `passes` of a step."""
        # An infinite loss may have finite gradients; beginning with NaN it has none, and the update is left out.
        root = loss.detach().mul(0.0).add_(1.0)
        if self.dynamic:
            root = self.scale(root)
        loss.backward(root if passes == 1 else root / passes)

    def advance(self, optimizer: Optimizer, norm: Tensor) -> None:
        """Update the weights once, unless a gradient is not finite.

        Args:
            norm: of all gradients together, unscaled.
        """
        if self.dynamic:
            self.step(optimizer)
            self.update()
        elif norm.device.type == "cpu" or not getattr(optimizer, "_step_supports_amp_scaling", False):
            if math.isfinite(norm.item()):
                optimizer.step()
        else:
            step_if_finite(optimizer, norm)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with a kept scale, if this number format and that of the state both have one."""
        if state_dict:
            super().load_state_dict(state_dict)


def step_if_finite(optimizer: Optimizer, norm: Tensor) -> None:
    """Take the step of a fused optimizer, which reads a flag on the device as torch's own scaler sets it."""
    optimizer.grad_scale = None  # type: ignore[attr-defined]
    optimizer.found_inf = norm.mul(0.0).ne_(0.0)  # type: ignore[attr-defined]  # 1 where it is not finite
    optimizer.step()
    del optimizer.grad_scale, optimizer.found_inf  # type: ignore[attr-defined]
