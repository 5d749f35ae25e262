"""Parts of a model that a checkpoint leaves out, because the source that the config names gives them back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gaze.sharding import whole

KEY = "left_out"  # in the metadata of a weights file: part -> digest


def digest(tensors: Mapping[str, Tensor], part: str) -> str:
    """The sha256 of the names, kinds and values of all tensors below `part`. All replicas ask where they are divided."""
    found = hashlib.sha256()
    for name, tensor in sorted(below(tensors, part).items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(whole(tensor.detach()).cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def below(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of the module with the dotted name `part`, under their whole names."""
    return {name: tensor for name, tensor in tensors.items() if name.startswith(f"{part}.")}


def left_out(weights: Path) -> dict[str, str]:
    """The parts that a weights file leaves out, with the digest of each; none if the file cannot be read."""
    try:
        with safe_open(weights, framework="pt") as file:
            return parts_of((file.metadata() or {}).get(KEY, "{}"))
    except (OSError, SafetensorError, ValueError):
        return {}


def parts_of(text: str) -> dict[str, str]:
    """Parts with the digest of each, as a checkpoint notes them.

    Raises:
        ValueError: it is no such note.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        raise ValueError(f"{text[:80]!r} is no list of parts")
    return found


def take_back(tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], parts: Mapping[str, str]) -> dict[str, Tensor]:
    """`tensors`, and of the model's `own` those of the parts that were left out.

    Raises:
        ValueError: a part is not what it was.
    """
    whole = dict(tensors)
    for part, expected in parts.items():
        if digest(own, part) != expected:
            raise ValueError(
                f"it leaves {part} out, and the source that the config names no longer gives the same one; "
                f"bring the file that {part}.weights named back"
            )
        whole |= below(own, part)
    return whole
