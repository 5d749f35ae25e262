"""Globs over the names of a model's modules, as keys of a config give them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn


def matching(model: nn.Module, patterns: Sequence[str], key: str) -> list[str]:
    """Names of the modules that any of the globs matches, outer ones first.

    Args:
        key: of the config, for the message.

    Raises:
        ValueError: a glob matches no module.
    """
    names = [name for name, _ in model.named_modules() if name]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"{key}: {pattern!r} matches no module of the model; there are "
                f"{', '.join(name for name in names if name.count('.') < 2)}"
            )
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
