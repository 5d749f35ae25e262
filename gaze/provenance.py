"""What a run was made from that no config and no commit says: its data as they were found, its prompts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.names import Names


def provenance(model: nn.Module, splits: Mapping[str, Dataset]) -> dict[str, Any]:
    """Samples and fingerprint of each split, and what the model's modules call their `origin`, by module.

    Two runs with the same answer were trained on the same labels and started from the same texts.
    """
    data = {name: {"samples": len(split), "sha256": data_fingerprint(split)} for name, split in splits.items()}
    origins = {
        f"model.{name}": origin
        for name, module in model.named_modules()
        if isinstance(origin := getattr(module, "origin", None), Mapping)
    }
    return {"data": data, **origins}


def data_fingerprint(data: Dataset) -> str:
    """SHA-256 of all labels of a split in their order, where it has them in memory, else of the names of its samples.

    Pictures are not read: a picture that changes under its name is not noticed.
    """
    labels = getattr(data, "labels", None)
    parts = _parts(labels) if is_dataclass(labels) else (data.name(index).encode() for index in range(len(data)))
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)  # so that no two lists of parts run into the same bytes
    return digest.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield value.contiguous().numpy().tobytes()
    elif is_dataclass(value):
        for field in fields(value):
            yield field.name.encode()
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield str(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, (list, tuple)) and any(isinstance(item, Tensor) for item in value):
        for item in value:
            yield from _parts(item)
    else:
        yield json.dumps(list(value) if isinstance(value, Names) else value, default=str).encode()
