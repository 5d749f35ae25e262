"""A model fitted to the picture of somebody whom it was not trained on.

Cheap: only what the model is told of this picture, its codes and its pose, moves. Thorough, as GazeNeRF's protocol has it
(Ruzzi et al., CVPR 2023; 75 steps): all weights of a copy, but for those that never train, as a VAE's.

Whatever a run was trained with, a fit goes by one loss: the mean absolute difference from the photograph on white, in which
pixels of the eyes count three times. No network judges it, so none of those that judge later has a part in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.redirection.rendering import photographs
from gaze.types import Batch, FaceInputs, FaceTargets

CODES = ("identity", "expression", "pose")
EYES = 2.0  # how much more the pixels of the eyes count


def fit_codes(model: nn.Module, batch: Batch[FaceInputs, FaceTargets], steps: int, lr: float = 5e-3) -> FaceInputs:
    """The inputs with codes and poses under which the model's pictures are most like the photographs.

    Gaze, camera and scale stay: they are known, and a gaze that moved would explain the eyes away.

    Args:
        model: frozen, in eval mode; batch: on its device.
        steps: of Adam; each sample is fitted for itself.
        lr: in units of the codes, and of the pose (radians, units of the world).
    """
    told = batch.inputs
    moved = {name: torch.zeros_like(getattr(told, name)).requires_grad_() for name in CODES}

    def fitted() -> FaceInputs:
        return replace(told, **{name: getattr(told, name) + moved[name] for name in CODES})

    with torch.enable_grad():
        _descend(moved.values(), lambda: difference(model(fitted()).image, batch.targets).sum(), steps, lr)
    return fitted().map(Tensor.detach)


def fit_model(model: nn.Module, batch: Batch[FaceInputs, FaceTargets], steps: int = 75, lr: float = 1e-4) -> nn.Module:
    """A copy of the model, whose weights were fitted to the photographs; frozen, in eval mode.

    Parts that never train (`never_trains`, as a frozen VAE) stay as they are.
    """
    own = deepcopy(model).requires_grad_(True)
    for module in own.modules():
        if getattr(module, "never_trains", False):
            module.requires_grad_(False)
    with torch.enable_grad():
        moved = [p for p in own.parameters() if p.requires_grad]
        _descend(moved, lambda: difference(own(batch.inputs).image, batch.targets).mean(), steps, lr)
    return own.requires_grad_(False)


def difference(image: Float[Tensor, "b 3 H W"], targets: FaceTargets) -> Float[Tensor, "b"]:
    """Mean absolute differences from the photographs on white, in which eyes count more."""
    weight = torch.ones_like(image[:, 0])
    for mask in (targets.left_eye_mask, targets.right_eye_mask):
        if mask is not None:
            weight = weight + EYES * mask
    off = (image - photographs(targets)).abs().mean(1)
    return (off * weight).sum((1, 2)) / weight.sum((1, 2))


def _descend(parameters: Iterable[Tensor], loss: Callable[[], Tensor], steps: int, lr: float) -> None:
    optimizer = torch.optim.Adam(parameters, lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
