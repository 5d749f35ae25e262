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
import platform
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

import gaze
from gaze import sharded
from gaze.replicas import on_all, on_first
from gaze.sharding import is_sharded
from gaze.weight_files import STATE, WEIGHTS, CheckpointError, left_out, load_into, read_state, save_weights

logger = logging.getLogger(__name__)

FORMAT = 1  # raised when an older reader could not understand the files
MANIFEST = "manifest.json"
CHUNK = 1 << 20


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
        final, aside = self.path(step), self.directory / f".writing-{step:08d}"
        together = isinstance(model, nn.Module) and is_sharded(model)
        first = not together or dist.get_rank() == 0
        try:
            if isinstance(model, nn.Module) and together:
                on_first(lambda: _begin(aside))
                kept, files = sharded.write_parts(aside, model, state, omit or {})
                parts = on_all(lambda: _facts(files))
                on_first(lambda: self._finish(step, aside, kept, omit or {}, parts))
            else:
                _begin(aside)
                save_weights(model, aside / WEIGHTS, omit)
                self._finish(step, aside, state)
        except Exception as error:  # torch and safetensors report a failed write each in their own way
            if first:
                self._give_up(step, aside)
            free = shutil.disk_usage(self.directory if self.directory.is_dir() else self.directory.anchor or ".").free
            raise CheckpointError(
                f"could not write checkpoint {final}: {error} ({free >> 20} MiB free); earlier checkpoints are intact"
            ) from error
        if first:
            self._drop_old(step)
        return final

    def _finish(
        self,
        step: int,
        aside: Path,
        state: Mapping[str, Any],
        left_out: Mapping[str, str] | None = None,
        parts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Write what belongs to the weights, and make it the checkpoint of `step`.

        Args:
            left_out: where the weights are in parts, what they leave out; `parts`: facts on the files of each replica.
        """
        torch.save(dict(state), aside / STATE)
        if left_out is not None:
            (aside / sharded.LEFT_OUT).write_text(json.dumps(dict(left_out)))
        known = {name: facts for part in parts for name, facts in part.items()}
        _write_manifest(aside, step, known)
        _flush(aside)
        if self.path(step).exists():
            os.replace(self.path(step), self._before(step))
        os.replace(aside, self.path(step))
        _flush_directory(self.directory)

    def _before(self, step: int) -> Path:
        return self.directory / f".replaced-{step:08d}"

    def _give_up(self, step: int, aside: Path) -> None:
        shutil.rmtree(aside, ignore_errors=True)
        if self._before(step).exists() and not self.path(step).exists():
            os.replace(self._before(step), self.path(step))

    def _drop_old(self, step: int) -> None:
        steps = self.steps()
        kept = [s for s in steps if s <= step][-self.keep :]
        for old in set(steps) - set(kept):  # later steps are of a course that was given up when the run went back
            shutil.rmtree(self.path(old), ignore_errors=True)
        shutil.rmtree(self._before(step), ignore_errors=True)

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
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes instead of {size}"
        if _crc32(file) != crc:
            return f"{name} has changed since it was written"
    return None


def _begin(aside: Path) -> None:
    aside.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()


def _facts(files: Sequence[Path]) -> dict[str, dict[str, int]]:
    """Size and checksum of files that are flushed now."""
    for file in files:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    return {file.name: {"bytes": file.stat().st_size, "crc32": _crc32(file)} for file in files}


def _write_manifest(directory: Path, step: int, known: Mapping[str, Any] | None = None) -> None:
    known = known or {}
    others = [file for file in sorted(directory.iterdir()) if file.name not in known]
    files = {file.name: {"bytes": file.stat().st_size, "crc32": _crc32(file)} for file in others} | dict(known)
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
