"""Checkpoints of divided weights: each replica writes its parts, and any number of replicas reads them again.

torch.distributed.checkpoint does the dividing. Its own files are pickles, which could run code when they are read, so
it is told to write safetensors: beside each part they say where in the whole it belongs.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gaze.sharding import is_part

LEFT_OUT = "sharded.json"  # what makes a checkpoint one of this kind: the parts of the model that it leaves out
WEIGHTS, STATE = "model.", "state."  # of names of tensors
REST = "weights"  # in the state: tensors of the model that are not divided, such as buffers
MARK = "divided tensor"  # stands in the state for one


def is_sharded_checkpoint(path: Path) -> bool:
    """Were the weights in this directory written in parts?"""
    return (path / LEFT_OUT).is_file()


def left_out(path: Path) -> dict[str, str]:
    """The parts of the model that this checkpoint leaves out, with the digest of each."""
    found: dict[str, str] = json.loads((path / LEFT_OUT).read_text())
    return found


def write_parts(
    path: Path, model: nn.Module, state: Mapping[str, Any], omit: Mapping[str, str]
) -> tuple[dict[str, Any], list[Path]]:
    """Write this replica's parts into a directory that all share; all replicas have to.

    Returns: the state for one of them to write, with the divided tensors taken out, and this replica's files.

    Raises:
        OSError: some replica could not write its part.
    """
    import torch.distributed as dist
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.api import CheckpointException

    weights = {n: t for n, t in model.state_dict().items() if not any(n.startswith(f"{part}.") for part in omit)}
    parts = {WEIGHTS + name: tensor for name, tensor in weights.items() if is_part(tensor)}
    rest = {name: tensor.detach().cpu() for name, tensor in weights.items() if not is_part(tensor)}
    kept = {"state": _take_out(dict(state), STATE, parts), REST: rest}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it warns of things that it does itself
        try:
            dcp.save(parts, storage_writer=dcp.HuggingFaceStorageWriter(str(path), save_distributed=True))
        except CheckpointException as error:  # which is no Exception; all replicas raise it
            why = "; ".join(f"replica {rank}: {failure[0]}" for rank, failure in error.failures.items())
            raise OSError(why) from error
    if dist.get_rank() == 0:
        (path / LEFT_OUT).write_text(json.dumps(dict(omit)))
    return kept, sorted(path.glob(f"shard-{dist.get_rank() + 1:05d}-*"))


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The whole shape of every tensor of a model that stands in parts in a checkpoint."""
    return {
        name.removeprefix(WEIGHTS): tuple(found.size)
        for name, found in _described(path).items()
        if name.startswith(WEIGHTS)
    }


def read_weights(path: Path, own: Mapping[str, Tensor], saved: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint, divided as the model's `own` tensors are, or whole.

    Args:
        own: the model's tensors, whose names and shapes are known to fit.
        saved: what `write_parts` returned.
    """
    parts = {
        name: torch.empty_like(own[name.removeprefix(WEIGHTS)], dtype=found.properties.dtype)
        for name, found in _described(path).items()
        if name.startswith(WEIGHTS)
    }
    _read(path, parts)
    return {name.removeprefix(WEIGHTS): tensor for name, tensor in parts.items()} | dict(saved[REST])


def read_state(path: Path, own: Mapping[str, Tensor], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The state of a checkpoint, its tensors divided if those of `own` are, or whole; see `read_weights`."""
    like = next((tensor for tensor in own.values() if is_part(tensor)), None)
    parts = {
        name: _empty(tuple(found.size), found.properties.dtype, like)
        for name, found in _described(path).items()
        if name.startswith(STATE)
    }
    _read(path, parts)
    state: dict[str, Any] = _put_back(saved["state"], parts)
    return state


def _read(path: Path, parts: dict[str, Tensor]) -> None:
    import torch.distributed.checkpoint as dcp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that each process reads for itself, which is meant
        dcp.load(parts, storage_reader=dcp.HuggingFaceStorageReader(str(path)), no_dist=True)


def _described(path: Path) -> dict[str, Any]:
    from torch.distributed.checkpoint import HuggingFaceStorageReader

    return dict(HuggingFaceStorageReader(str(path)).read_metadata().state_dict_metadata)


def _empty(shape: tuple[int, ...], dtype: torch.dtype, like: Any) -> Tensor:
    """A tensor that is divided by rows, as all are, where tensors are divided."""
    if like is None:
        return torch.empty(shape, dtype=dtype)
    from torch.distributed.tensor import empty

    return empty(shape, dtype=dtype, device_mesh=like.device_mesh, placements=like.placements)


def _take_out(value: Any, name: str, parts: dict[str, Tensor]) -> Any:
    """The nested value with a mark in place of each divided tensor, which is put into `parts`."""
    if is_part(value):
        parts[name] = value.detach()
        return {MARK: name}
    if isinstance(value, Mapping):
        return {key: _take_out(item, f"{name}{key}.", parts) for key, item in value.items()}
    return [_take_out(item, f"{name}{i}.", parts) for i, item in enumerate(value)] if isinstance(value, list) else value


def _put_back(value: Any, parts: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        return parts[value[MARK]] if MARK in value else {key: _put_back(item, parts) for key, item in value.items()}
    return [_put_back(item, parts) for item in value] if isinstance(value, list) else value
