"""Finds what would make the host wait for a GPU, on a machine without one."""

from __future__ import annotations

import traceback
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

# Their results have as many elements as the numbers in them say, or they give a number to Python.
OPS = (
    *("_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "unique_consecutive", "bincount"),
    *("repeat_interleave.Tensor", "equal", "is_nonzero"),
)
METHODS = {
    getattr(Tensor, name) for name in ("tolist", "numpy", "__array__", "cpu")
}  # read memory without an operation
MASKS = (torch.bool, torch.uint8)


class Waits(TorchDispatchMode):
    """Counts, while it is on, the operations that read the device, by name and the line of ours that asked for each."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.methods = Methods(self.found)

    def __enter__(self) -> Waits:
        self.methods.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self.methods.__exit__(*error)

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.waits(op, args, kwargs or {}):
            self.found[f"{op} at {asked_at()}"] += 1
        return op(*args, **(kwargs or {}))

    def waits(self, op: Any, args: Any, kwargs: Any) -> bool:
        """Would a GPU have to be waited for?"""
        name = str(op).removeprefix("aten.")
        if name in ("index.Tensor", "index_put.default", "index_put_.default", "_unsafe_index.Tensor"):
            return any(index is not None and index.dtype in MASKS for index in args[1])
        if name == "repeat_interleave.Tensor" and kwargs.get("output_size") is not None:
            return False
        return any(name == known or name.startswith(f"{known}.") for known in OPS)


class Methods(TorchFunctionMode):
    """Counts methods of tensors that hand their memory to the host."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in METHODS:
            self.found[f"{function.__name__} at {asked_at()}"] += 1
        return function(*args, **(kwargs or {}))


def asked_at() -> str:
    """The innermost line of the package under way; of a backward pass, the trainer's own."""
    lines = [f for f in traceback.extract_stack() if "/gaze/" in f.filename and "/tests/" not in f.filename]
    return f"{lines[-1].filename.rpartition('/gaze/')[2]}:{lines[-1].name}" if lines else "?"
