"""What a config may call. A run directory may come from a stranger, and a config names code."""

from __future__ import annotations

TRUSTED = ("gaze.*", "torch.optim.*", "torch.nn.*", "torchmetrics.*")


def is_trusted(target: str) -> bool:
    """Is this dotted name, or a prefix of it that ends in ".*", on the list?"""
    return any(target.startswith(t[:-1]) if t.endswith(".*") else target == t for t in TRUSTED)
