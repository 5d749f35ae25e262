"""The manifest of a checkpoint: what was written, so that damage is found when it is read."""

from __future__ import annotations

import json
import platform
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import gaze
from gaze.durable import flush
from gaze.errors import UserError

MANIFEST = "manifest.json"
FORMAT = 1  # raised when an older reader could not understand the files
OWN = "crc32"  # of all its other facts
FIRST = {"format", "step", "gaze", "torch", "python", "threads", "files"}  # what manifests without a checksum hold
CHUNK = 1 << 20


class CheckpointError(UserError, RuntimeError):
    """A checkpoint is missing, damaged, or belongs to another model or version."""


def file_facts(files: Iterable[Path]) -> dict[str, Any]:
    """Size and checksum of files, which are on the disk then."""
    found = {}
    for file in files:
        flush(file)
        found[file.name] = {"bytes": file.stat().st_size, "crc32": _crc32(file)}
    return found


def write_manifest(directory: Path, step: int, known: Mapping[str, Any] | None = None) -> None:
    """Note size and checksum of each file in `directory`, and what wrote them.

    Args:
        known: what `file_facts` says of some of them.
    """
    known = known or {}
    files = file_facts(file for file in sorted(directory.iterdir()) if file.name not in known) | dict(known)
    facts = {
        "format": FORMAT,
        "step": step,
        "gaze": gaze.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "files": files,
    }
    (directory / MANIFEST).write_text(json.dumps(facts | {OWN: _own(facts)}, indent=2))


def verify(path: Path) -> str | None:
    """What is wrong with a checkpoint directory; None if every file is as it was written.

    Raises:
        CheckpointError: a newer version wrote it.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        files = {name: (facts["bytes"], facts["crc32"]) for name, facts in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"its {MANIFEST} cannot be read: {error}"
    if manifest[OWN] != _own(manifest) if OWN in manifest else set(manifest) != FIRST:
        return f"{MANIFEST} has changed since it was written"
    if manifest.get("format") != FORMAT:
        found = f"checkpoint {path} has format {manifest.get('format')} of gaze {manifest.get('gaze')}"
        raise CheckpointError(f"{found}; this version, {gaze.__version__}, reads format {FORMAT}. Use that version")
    for name, (size, crc) in files.items():
        file = path / name
        if not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != size:
            return f"{name} has {file.stat().st_size} bytes instead of {size}"
        if _crc32(file) != crc:
            return f"{name} has changed since it was written"
    return None


def _own(facts: Mapping[str, Any]) -> int:
    others = {name: value for name, value in facts.items() if name != OWN}
    return zlib.crc32(json.dumps(others, sort_keys=True).encode())


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _crc32(file: Path) -> int:
    crc = 0
    for chunk in _chunks(file):
        crc = zlib.crc32(chunk, crc)
    return crc
