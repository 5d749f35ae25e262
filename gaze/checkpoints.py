"""Checkpoints that survive a kill, a full disk and a flipped bit.

A checkpoint is a directory `step-N`: weights in safetensors, everything else in a tensor file that
loads without running code, and a manifest with the size and checksum of each. It is written aside,
flushed and renamed, so a directory with that name is complete; the manifest tells whether it still
is what was written. A damaged one is stepped over. Weights that are divided among replicas are written
in parts, see `gaze.sharded`; either kind is read by any number of replicas.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gaze import sharded, sources
from gaze.claims import excess, packed
from gaze.durable import flush, make_directory
from gaze.manifests import CheckpointError, file_facts, verify, write_manifest
from gaze.replicas import broke_off, on_all, on_first
from gaze.sharding import all_laid_out_like, is_sharded

logger = logging.getLogger(__name__)

WEIGHTS, STATE = "model.safetensors", "state.pt"
FULL = 1 << 16  # bytes; with fewer left a write has failed for lack of them
NAMES = re.compile(r"(?:step-|\.replaced-)(\d+)")


class Checkpoints:
    """The checkpoints of one kind in one directory, newest last.

    Args:
        directory: holds one directory per step; made when the first is saved.
        keep: how many are kept; at least 2 for one to fall back to.
    """

    def __init__(self, directory: Path, keep: int = 2) -> None:
        self.directory, self.keep = directory, keep

    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, rising. Whether they are intact only `load` finds out."""
        names = self.directory.iterdir() if self.directory.is_dir() else ()
        return sorted({int(found[1]) for path in names if (found := NAMES.fullmatch(path.name))})

    def path(self, step: int) -> Path:
        """Directory of the checkpoint of one step."""
        place, before = self._place(step), self._before(step)
        return before if before.exists() and not place.exists() else place  # killed in the midst of replacing it

    def save(
        self,
        step: int,
        model: nn.Module | Mapping[str, Tensor],
        state: Mapping[str, Any],
        omit: Mapping[str, str] | None = None,
    ) -> Path:
        """Write the checkpoint of `step`, replacing one of the same step, and drop the oldest beyond `keep`.

        Args:
            model: or its tensors by name. Where its weights are divided, all replicas have to save it together.
            omit: parts of the model to leave out, with their digests, see `gaze.sources`.

        Raises:
            CheckpointError: it could not be written (a full disk, no permission); older ones are untouched.
        """
        final, aside = self._place(step), self.directory / f".writing-{step:08d}"
        first = True  # of those that write it
        try:
            if isinstance(model, nn.Module) and is_sharded(model):
                first = dist.get_rank() == 0
                on_first(lambda: self._begin(aside))
                kept, files = sharded.write_parts(aside, model, state, omit or {})
                parts = on_all(lambda: file_facts(files))
                on_first(lambda: self._finish(step, aside, kept, parts, omit or {}))
            else:
                self._begin(aside)
                save_weights(model, aside / WEIGHTS, omit)
                self._finish(step, aside, state)
        except Exception as error:  # torch and safetensors report a failed write each in their own way
            if broke_off(error):  # training can't go on without the others
                raise
            free = shutil.disk_usage(self.directory if self.directory.is_dir() else self.directory.anchor or ".").free
            written = sum(file.stat().st_size for file in aside.iterdir()) if first and aside.is_dir() else 0
            if first:
                self._give_up(step, aside)
            full = "the disk is full: " if free < FULL else ""  # what torch says then is about its own files
            raise CheckpointError(
                f"could not write checkpoint {final}: {full}{error} ({written} bytes of it written, {free >> 20} MiB free); "
                "earlier checkpoints are intact"
            ) from error
        if first:
            self._drop_old(step)
        return final

    def _begin(self, aside: Path) -> None:
        make_directory(self.directory)
        self._tidy()
        aside.mkdir()

    def _finish(
        self,
        step: int,
        aside: Path,
        state: Mapping[str, Any],
        parts: Sequence[Mapping[str, Any]] = (),
        omit: Mapping[str, str] | None = None,
    ) -> None:
        """Write the state beside the weights, and make all of it the checkpoint of `step`.

        Args:
            parts: of its manifest, of weights that were written in parts.
            omit: what those leave out; None for weights in one file, which says so itself.
        """
        if omit is not None:
            sharded.write_left_out(aside, omit)
        torch.save(dict(state), aside / STATE)
        write_manifest(aside, step, {name: facts for part in parts for name, facts in part.items()})
        for file in (*aside.iterdir(), aside):
            flush(file)
        if self._place(step).exists():
            os.replace(self._place(step), self._before(step))
        os.replace(aside, self._place(step))
        flush(self.directory)

    def _give_up(self, step: int, aside: Path) -> None:
        shutil.rmtree(aside, ignore_errors=True)
        if self._before(step).exists() and not self._place(step).exists():
            os.replace(self._before(step), self._place(step))

    def _drop_old(self, step: int) -> None:
        steps = self.steps()
        kept = [s for s in steps if s <= step][-self.keep :]
        for old in set(steps) - set(kept):  # later steps are of a course that was given up when the run went back
            shutil.rmtree(self.path(old), ignore_errors=True)
        shutil.rmtree(self._before(step), ignore_errors=True)

    def _place(self, step: int) -> Path:
        return self.directory / f"step-{step:08d}"

    def _before(self, step: int) -> Path:
        """Where the checkpoint of a step waits while another takes its place."""
        return self.directory / f".replaced-{step:08d}"

    def _tidy(self) -> None:
        """Clear away what a save left that was killed."""
        for path in self.directory.glob(".writing-*"):
            shutil.rmtree(path, ignore_errors=True)
        for step in self.steps():
            if self.path(step) == self._place(step):
                shutil.rmtree(self._before(step), ignore_errors=True)
            else:
                os.replace(self._before(step), self._place(step))

    def load(self, model: nn.Module) -> dict[str, Any] | None:
        """Put the newest intact weights into `model` and return the state saved with them. All replicas have to.

        Returns None when nothing was ever saved.

        Raises:
            CheckpointError: every checkpoint is damaged, or the weights belong to another model.
        """
        path = on_first(self.newest)  # or replicas might go on from different ones
        if path is None:
            return None
        load_into(model, path)
        state = read_state(path / STATE)
        return sharded.read_state(path, model.state_dict(), state) if sharded.is_sharded_checkpoint(path) else state

    def left_out(self) -> set[str]:
        """Parts of the model that some of them leave out, so that it must be built with its weights."""
        return {part for step in self.steps() for part in left_out(self.path(step))}

    def newest(self) -> Path | None:
        """The newest intact checkpoint, None if there are none at all; says which damaged ones it stepped over."""
        damage: list[str] = []
        for step in reversed(self.steps()):
            problem = verify(self.path(step))
            if problem is None:
                for message in damage:
                    logger.warning("%s; falling back to step %d", message, step)
                return self.path(step)
            damage.append(f"checkpoint {self.path(step)} is damaged ({problem}): step {step} is lost")
        if damage:
            raise CheckpointError(f"{'; '.join(damage)}. None is left to fall back to; start again in a new directory")
        return None


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
            return tensors | {name: tensors[target] for name, target in aliases.items()}
    except Exception as error:
        raise CheckpointError(f"cannot read weights from {path}: {error}") from error


def read_state(path: Path) -> dict[str, Any]:
    """What was saved beside the weights; no code in the file is run.

    Raises:
        CheckpointError: the file holds more than data, or claims to be larger than it is.
    """
    try:
        claim = packed(path)
        state: dict[str, Any] = {} if claim else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors and plain values, and is not trusted: {error}"
        ) from error
    except Exception as error:  # a file that is none raises nearly every type
        raise CheckpointError(f"{path} can't be read ({type(error).__name__}: {error})") from error
    if claim := claim or excess(state, path.stat().st_size):
        raise CheckpointError(f"{path} claims more than it holds, and is not trusted: {claim}")
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
    shapes = sharded.shapes(path, saved)
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
