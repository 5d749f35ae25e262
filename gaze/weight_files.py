"""The files of a checkpoint: weights, and the state beside them. No code in either is run when it is read."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gaze import sharded, sources
from gaze.errors import UserError
from gaze.sharding import all_laid_out_like

WEIGHTS, STATE = "model.safetensors", "state.pt"


class CheckpointError(UserError, RuntimeError):
    """A checkpoint is missing, damaged, or belongs to another model."""


def save_weights(model: nn.Module | Mapping[str, Tensor], path: Path, omit: Mapping[str, str] | None = None) -> None:
    """The state dict of `model`, or these tensors, as safetensors; what shares memory is stored once, under its first name.

    Args:
        omit: parts to leave out, with their digests.
    """
    omit = omit or {}
    first: dict[tuple[Any, ...], str] = {}
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    for name, tensor in (model.state_dict() if isinstance(model, nn.Module) else model).items():
        if any(name.startswith(f"{part}.") for part in omit):
            continue
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and place in first:
            aliases[name] = first[place]
        else:
            first[place] = name
            tensors[name] = tensor.detach().cpu().contiguous()
    save_file(tensors, path, metadata={"aliases": json.dumps(aliases), sources.KEY: json.dumps(dict(omit))})


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `save_weights` wrote.

    Raises:
        CheckpointError: the file is missing or is no safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
            aliases = json.loads((file.metadata() or {}).get("aliases", "{}"))
    except Exception as error:
        raise CheckpointError(f"cannot read weights from {path}: {error}") from error
    return tensors | {name: tensors[target] for name, target in aliases.items()}


def read_state(path: Path) -> dict[str, Any]:
    """What was saved beside the weights; no code in the file is run.

    Raises:
        CheckpointError: the file holds more than data.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, and is not trusted: {error}"
        ) from error
    return state


def left_out(path: Path) -> dict[str, str]:
    """The parts of the model that the checkpoint in this directory leaves out, with the digest of each."""
    if sharded.is_sharded_checkpoint(path):
        return sharded.left_out(path)
    return sources.left_out(path / WEIGHTS)


def load_into(model: nn.Module, path: Path) -> None:
    """Put the weights of a checkpoint directory into `model`; see `load_weights`."""
    if not sharded.is_sharded_checkpoint(path):
        load_weights(model, path / WEIGHTS)
        return
    own, saved = model.state_dict(), read_state(path / STATE)
    shapes = sharded.shapes(path) | {name: tuple(tensor.shape) for name, tensor in saved[sharded.REST].items()}
    omitted = left_out(path)
    _check_fits(
        path, own, shapes | {n: tuple(t.shape) for part in omitted for n, t in sources.below(own, part).items()}
    )
    model.load_state_dict(_with_left_out(path, sharded.read_weights(path, own, saved), own, omitted))


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the weights of a file into `model`: all of them, or none. Parts that it leaves out stay as they are.

    Raises:
        CheckpointError: names or shapes differ, and the message lists them; or a part that the file leaves
            out is another one.
    """
    own = model.state_dict()
    tensors = _with_left_out(path, read_weights(path), own, sources.left_out(path))
    _check_fits(path, own, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    model.load_state_dict(all_laid_out_like(tensors, own))


def _with_left_out(
    path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], parts: Mapping[str, str]
) -> dict[str, Tensor]:
    try:
        return sources.take_back(tensors, own, parts)
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error


def _check_fits(path: Path, own: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    problems = [
        _some("it lacks", [name for name in own if name not in shapes]),
        _some("it has in excess", [name for name in shapes if name not in own]),
        _some(
            "shapes differ for",
            [
                f"{name} {shapes[name]} instead of {tuple(own[name].shape)}"
                for name in own
                if name in shapes and shapes[name] != tuple(own[name].shape)
            ],
        ),
    ]
    found = [p for p in problems if p]
    if found:
        raise CheckpointError(f"{path} holds the weights of another model: {'; '.join(found)}")


def _some(what: str, names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} {', '.join(names[:most])}{more}" if names else ""
