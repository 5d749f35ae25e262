"""Which weights of a model are NaN or infinite?"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase


def not_finite(model: nn.Module) -> list[str]:
    """Names of the parameters, and of the statistics of norms, that hold NaN or infinity: one sync.

    Other buffers may hold what they like: masks are infinite, and what is unknown yet is NaN.
    """
    named = dict(model.named_parameters())
    for path, module in model.named_modules():
        if isinstance(module, _NormBase):
            named |= {f"{path}.{name}" if path else name: value for name, value in module.named_buffers(recurse=False)}
    found = {name: _local(value) for name, value in named.items() if value.is_floating_point()}
    if not found:
        return []
    device = next(iter(found.values())).device
    fine = torch.stack([value.detach().isfinite().all().to(device) for value in found.values()]).tolist()
    return [name for name, finite in zip(found, fine, strict=True) if not finite]


def _local(value: Tensor) -> Tensor:
    """This process's part of a tensor that replicas share."""
    local: Tensor = value.to_local() if hasattr(value, "to_local") else value
    return local


def listed(names: list[str], most: int = 4) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
