"""What several workers of one session look at and only one makes."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from filelock import FileLock

T = TypeVar("T")


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], T]) -> T:
    """What `make` returns for a new folder; pickled beside it, so that it is called once in all workers together."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root  # each worker has a folder in the session's
    value = root / f"{name}.pickle"
    with FileLock(root / f"{name}.lock"):
        if not value.exists():
            folder = factory.mktemp(name)
            value.write_bytes(pickle.dumps(make(folder)))
    return pickle.loads(value.read_bytes())
