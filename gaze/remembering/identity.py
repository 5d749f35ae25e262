"""What a module is: a digest of its weights, and one of everything else that decides its answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, str, type(None))
OWN = "gaze."  # of other packages the version decides
ALWAYS = ("gaze.backbones.normalization", "gaze.remembering.coding", "gaze.remembering.packing")


def weights_digest(module: nn.Module) -> str:
    """Of names, formats, shapes and values of all parameters and buffers, also of those that no checkpoint has."""
    digest = hashlib.sha256()
    for name, value in _tensors(module):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def settings_digest(module: nn.Module) -> str:
    """Of classes and plain settings of a module and all its parts, in which image size, normalisation and layers stand.

    And of our source files that define those classes and what they inherit, of the normalisations, and of how rows are
    kept. A function that a class calls in yet another file is not among them.
    """
    lines = [
        f"{name} {type(part).__module__}.{type(part).__qualname__} {sorted(_plain(vars(part)))}"
        for name, part in module.named_modules()
    ]
    kinds = {kind for part in module.modules() for kind in type(part).__mro__}
    ours = {kind.__module__ for kind in kinds if kind.__module__.startswith(OWN)}
    lines += [f"{name} {_source_digest(name)}" for name in sorted(ours.union(ALWAYS))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def changes(module: nn.Module) -> tuple[tuple[int, int], ...]:
    """Where the weights lie and how often they were written to: equal as long as they are the same.

    Writes through `.data` are not counted, and go unnoticed.
    """
    # Tensors of inference mode don't count, and are not written to outside it
    return tuple((value.data_ptr(), 0 if value.is_inference() else value._version) for _, value in _tensors(module))


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return chain(module.named_parameters(), module.named_buffers())


def _source_digest(name: str) -> str:
    spec = find_spec(name)
    assert spec is not None, name  # a class of it is here
    assert spec.origin is not None, name
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def _plain(attributes: dict[str, Any]) -> Iterator[str]:
    for name, value in attributes.items():
        if name.startswith("_") or name == "training":
            continue
        members = value if isinstance(value, (list, tuple)) else [value]
        if all(isinstance(member, PLAIN) for member in members):
            yield f"{name}={value!r}"
