"""Tensors from files that strangers wrote, without running what else may be in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from numpy.dtypes import Float32DType, Float64DType, Int64DType, UInt32DType
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gaze.claims import excess, packed

CHUNK = 1 << 20
# File names of torch.hub end in the first digits of the sha256. One without a letter is rather a date.
HASHED = re.compile(r"-(?=\d*[a-f])([0-9a-f]{8,64})\.[a-z]+$")


def read_tensors(path: Path, key: str = "backbone.weights") -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a .pth or .pt file: flat, or under ``model`` or ``state_dict``.

    What stands beside them in a training checkpoint is dropped: numbers, and arrays of numpy's, such as
    the state of its random generator. Anything else that is pickled is refused.

    Args:
        path: the file.
        key: what a user sets to name it, for the messages.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is damaged, holds more than data, or holds no tensors by name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path.absolute()}; expected a .safetensors or .pth file: set {key}")
    if problem := wrong_digest(path):
        raise ValueError(f"{path} is damaged: {problem}; fetch it again, or set {key} to another file")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise ValueError(f"{path} is no safetensors file ({error}); fetch it again, or set {key}") from error
    state = _load(path)
    for name in ("model", "state_dict"):
        state = state.get(name, state) if isinstance(state, Mapping) else state
    named = isinstance(state, Mapping) and all(isinstance(key, str) for key in state)
    if not named or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds {type(state).__name__}; expected a mapping from names to tensors")
    return dict(state)


def differences(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What keeps `state` from being loaded strictly as `expected`, in words; empty if nothing does."""
    reshaped = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    found = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of another shape": reshaped,
    }
    return "; ".join(f"{len(keys)} {what}: {_some(keys)}" for what, keys in found.items() if keys)


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def wrong_digest(path: Path) -> str | None:
    """How the file differs from the digest in its name; None if it does not, or its name has none."""
    named = HASHED.search(path.name)
    if named is None or (found := sha256(path)).startswith(named[1]):
        return None
    return f"its sha256 begins with {found[: len(named[1])]} instead of {named[1]}"


def _load(path: Path) -> Any:
    try:
        claim = packed(path)
        if claim is None:
            with torch.serialization.safe_globals(_numpy_data()):
                content = torch.load(path, map_location="cpu", weights_only=True)
            claim = excess(content, path.stat().st_size)
    except UnpicklingError as error:
        raise ValueError(
            f"{path} holds Python objects beside tensors, which could run code; expected a plain state dict: "
            "save it again as .safetensors"
        ) from error
    except Exception as error:  # a damaged pickle raises nearly every type
        raise ValueError(
            f"{path} is damaged or no file of torch's ({type(error).__name__}: {error}); fetch it again"
        ) from error
    if claim is not None:
        raise ValueError(
            f"{path} claims more than it holds: {claim}; it is not to be trusted: fetch it from its source"
        )
    return content


def _numpy_data() -> list[Any]:
    """What arrays and scalars of numpy's are made of in a pickle, under the names of versions 1 and 2."""
    reconstruct, scalar = np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    functions = [
        (function, f"numpy.{core}.multiarray.{name}")
        for function, name in ((reconstruct, "_reconstruct"), (scalar, "scalar"))
        for core in ("core", "_core")
    ]
    return [*functions, np.ndarray, np.dtype, Float32DType, Float64DType, Int64DType, UInt32DType]


def _some(keys: list[str], limit: int = 8) -> str:
    return ", ".join(keys[:limit]) + (", …" if len(keys) > limit else "")
