"""Checkpoints that survive a kill, a full disk and a flipped bit.

A checkpoint is a directory `step-N`: weights in safetensors, everything else in a tensor file that
loads without running code, and a manifest with the size and checksum of each. It is written aside,
flushed and renamed, so a directory with that name is complete; the manifest tells whether it still
is what was written. A damaged one is stepped over.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import platform
import shutil
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import gaze
from gaze import sources
from gaze.claims import excess, packed
from gaze.errors import UserError

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when an older reader could not understand the files
WEIGHTS, STATE, MANIFEST = "model.safetensors", "state.pt", "manifest.json"
CHUNK = 1 << 20


class CheckpointError(UserError, RuntimeError):
    """A checkpoint is missing, damaged, or belongs to another model."""


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
        names = self.directory.glob("step-*") if self.directory.is_dir() else ()
        return sorted(int(p.name.removeprefix("step-")) for p in names if p.name.removeprefix("step-").isdigit())

    def path(self, step: int) -> Path:
        """Directory of the checkpoint of one step."""
        return self.directory / f"step-{step:08d}"

    def save(
        self, step: int, model: nn.Module, state: Mapping[str, Any], omit: Mapping[str, str] | None = None
    ) -> Path:
        """Write the checkpoint of `step`, replacing one of the same step, and drop the oldest beyond `keep`.

        Args:
            omit: parts of the model to leave out, with their digests, see `gaze.sources`.

        Raises:
            CheckpointError: it could not be written (a full disk, no permission); older ones are untouched.
        """
        final, aside = self.path(step), self.directory / f".writing-{step:08d}"
        before = self.directory / f".replaced-{step:08d}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            save_weights(model, aside / WEIGHTS, omit)
            torch.save(dict(state), aside / STATE)
            _write_manifest(aside, step)
            _flush(aside)
            if final.exists():
                os.replace(final, before)
            os.replace(aside, final)
            _flush_directory(self.directory)
        except Exception as error:  # torch and safetensors report a failed write each in their own way
            shutil.rmtree(aside, ignore_errors=True)
            if before.exists() and not final.exists():
                os.replace(before, final)
            free = shutil.disk_usage(self.directory if self.directory.is_dir() else self.directory.anchor or ".").free
            raise CheckpointError(
                f"could not write checkpoint {final}: {error} ({free >> 20} MiB free); earlier checkpoints are intact"
            ) from error
        steps = self.steps()
        kept = [s for s in steps if s <= step][-self.keep :]
        for old in set(steps) - set(kept):  # later steps are of a course that was given up when the run went back
            shutil.rmtree(self.path(old), ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
        return final

    def load(self, model: nn.Module) -> dict[str, Any] | None:
        """Put the newest intact weights into `model` and return the state saved with them.

        Returns None when nothing was ever saved.

        Raises:
            CheckpointError: every checkpoint is damaged, or the weights belong to another model.
        """
        path = self.newest()
        if path is None:
            return None
        load_weights(model, path / WEIGHTS)
        return read_state(path / STATE)

    def left_out(self) -> set[str]:
        """Parts of the model that some of them leave out, so that it must be built with its weights."""
        return {part for step in self.steps() for part in sources.left_out(self.path(step) / WEIGHTS)}

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


def verify(path: Path) -> str | None:
    """What is wrong with a checkpoint directory; None if every file is as it was written."""
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files = {name: (facts["bytes"], facts["crc32"]) for name, facts in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its {MANIFEST} cannot be read: {error}"
    if manifest.get("format") != FORMAT:
        return f"it has format {manifest.get('format')}, this version reads {FORMAT}"
    for name, (size, crc) in files.items():
        file = path / name
        if file.parent != path or file.name != name:
            return f"{name} is no file of a checkpoint"
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes instead of {size}"
        if _crc32(file) != crc:
            return f"{name} has changed since it was written"
    return None


def save_weights(model: nn.Module, path: Path, omit: Mapping[str, str] | None = None) -> None:
    """The state dict of `model` as safetensors; tensors that share memory are stored once, under their first name.

    Args:
        omit: parts to leave out, with their digests.
    """
    omit = omit or {}
    first: dict[tuple[Any, ...], str] = {}
    tensors: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    for name, tensor in model.state_dict().items():
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


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the weights of a file into `model`: all of them, or none. Parts that it leaves out stay as they are.

    Raises:
        CheckpointError: names or shapes differ, and the message lists them; or a part that the file leaves
            out is another one.
    """
    own = model.state_dict()
    try:
        tensors = sources.take_back(read_weights(path), own, sources.left_out(path))
    except ValueError as error:
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
    problems = [
        _some("it lacks", [name for name in own if name not in tensors]),
        _some("it has in excess", [name for name in tensors if name not in own]),
        _some(
            "shapes differ for",
            [
                f"{name} {tuple(tensors[name].shape)} instead of {tuple(own[name].shape)}"
                for name in own
                if name in tensors and tensors[name].shape != own[name].shape
            ],
        ),
    ]
    found = [p for p in problems if p]
    if found:
        raise CheckpointError(f"{path} holds the weights of another model: {'; '.join(found)}")
    model.load_state_dict(tensors)


def _some(what: str, names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{what} {', '.join(names[:most])}{more}" if names else ""


def _write_manifest(directory: Path, step: int) -> None:
    files = {file.name: {"bytes": file.stat().st_size, "crc32": _crc32(file)} for file in sorted(directory.iterdir())}
    facts = {
        "format": FORMAT,
        "step": step,
        "gaze": gaze.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "files": files,
    }
    (directory / MANIFEST).write_text(json.dumps(facts, indent=2))


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _crc32(file: Path) -> int:
    crc = 0
    for chunk in _chunks(file):
        crc = zlib.crc32(chunk, crc)
    return crc


def _flush(directory: Path) -> None:
    for file in directory.iterdir():
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    _flush_directory(directory)


def _flush_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
