"""Checkpoints of divided weights: each replica writes its parts, and any number of replicas reads them again.

torch.distributed.checkpoint does the dividing. Its own files are pickles, which could run code when they are read, so
it is told to write safetensors: beside each part they say where in the whole it belongs.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gaze.manifests import CheckpointError
from gaze.sharding import is_part
from gaze.sources import parts_of

LEFT_OUT = "sharded.json"  # what makes a checkpoint one of this kind: the parts of the model that it leaves out
WEIGHTS, STATE = "model.", "state."  # of names of tensors
REST = "weights"  # in the state: tensors of the model that are not divided, such as buffers
MARK = "divided tensor"  # stands in the state for one


def is_sharded_checkpoint(path: Path) -> bool:
    """Were the weights in this directory written in parts?"""
    return (path / LEFT_OUT).is_file()


def left_out(path: Path) -> dict[str, str]:
    """The parts of the model that this checkpoint leaves out, with the digest of each; none if that can't be read."""
    try:
        return parts_of((path / LEFT_OUT).read_text())
    except (OSError, ValueError):
        return {}


def write_left_out(path: Path, omit: Mapping[str, str]) -> None:
    """Make the checkpoint in this directory one of this kind; for one replica to do, where all hear of a failure."""
    (path / LEFT_OUT).write_text(json.dumps(dict(omit)))


def write_parts(
    path: Path, model: nn.Module, state: Mapping[str, Any], omit: Mapping[str, str]
) -> tuple[dict[str, Any], list[Path]]:
    """Write this replica's parts into a directory that all share; all replicas have to.

    Returns: the state for one of them to write, with the divided tensors taken out, and this replica's files. That
    one also calls `write_left_out`.

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
    return kept, sorted(path.glob(f"shard-{dist.get_rank() + 1:05d}-*"))


def shapes(path: Path, saved: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The whole shape of every tensor of a model in a checkpoint.

    Args:
        saved: what `write_parts` returned.

    Raises:
        CheckpointError: its files are not what `write_parts` writes.
    """
    rest = saved.get(REST)
    if "state" not in saved or not isinstance(rest, dict) or not all(isinstance(t, Tensor) for t in rest.values()):
        raise CheckpointError(f"{path} lacks what stands beside divided weights, and is not trusted")
    return {
        name.removeprefix(WEIGHTS): tuple(found.size)
        for name, found in _described(path).items()
        if name.startswith(WEIGHTS)
    } | {name: tuple(tensor.shape) for name, tensor in rest.items()}


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
    try:
        state: dict[str, Any] = _put_back(saved["state"], parts)
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error}, a tensor of its state") from error
    return state


def _read(path: Path, parts: dict[str, Tensor]) -> None:
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.api import CheckpointException

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that each process reads for itself, which is meant
        try:
            dcp.load(parts, storage_reader=dcp.HuggingFaceStorageReader(str(path)), no_dist=True)
        except CheckpointException as error:  # which is no Exception
            why = "; ".join(str(failure[0]) for failure in error.failures.values())
            raise CheckpointError(f"{path} can't be read: {why}") from error


def _described(path: Path) -> dict[str, Any]:
    """What the files say of each tensor: its size, number format and parts.

    Raises:
        CheckpointError: a file can't be read, or the parts of a tensor are not the whole of it. The rest would be
            whatever was in memory, and a few bytes could ask for all of it.
    """
    from torch.distributed.checkpoint import HuggingFaceStorageReader

    try:
        found: dict[str, Any] = dict(HuggingFaceStorageReader(str(path)).read_metadata().state_dict_metadata)
        torn = [name for name, tensor in found.items() if not _in_rows(tensor.size, tensor.chunks)]
    except Exception as error:  # a file that is none raises nearly every type
        raise CheckpointError(f"the parts in {path} can't be read ({type(error).__name__}: {error})") from error
    if torn:
        raise CheckpointError(
            f"{path} claims more than it holds, and is not trusted: its parts of {torn[0]} are not the whole of it"
        )
    return found


def _in_rows(size: Sequence[int], chunks: Sequence[Any]) -> bool:
    """Are these parts of a tensor all of its rows, each once? Safetensors has checked that their bytes are there."""
    row = 0
    for chunk in sorted(chunks, key=lambda chunk: (chunk.offsets[0], chunk.sizes[0])):
        if tuple(chunk.offsets) != (row, *(0 for _ in size[1:])) or tuple(chunk.sizes[1:]) != tuple(size[1:]):
            return False
        row += chunk.sizes[0]
    return row == size[0]


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
