"""Reads MATLAB files that may claim more than they hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

HARMLESS = 1 << 26  # bytes
MOST_RATIO = 100  # of what arrays take to their file


def read_matlab(path: Path) -> dict[str, Any]:
    """The arrays of a file of version 4 to 7.2, by name, unless it unfolds to far more than it holds.

    Raises:
        ValueError: it does; found from its headers.
        NotImplementedError: it is of version 7.3, which is HDF5. Damaged files raise whatever comes.
    """
    from scipy.io import loadmat, whosmat

    claimed = 8 * sum(math.prod(shape) for _, shape, _ in whosmat(path))
    if claimed > max(HARMLESS, MOST_RATIO * path.stat().st_size):
        raise ValueError(f"it claims {claimed} bytes of arrays and has {path.stat().st_size}; it is not to be trusted")
    arrays: dict[str, Any] = loadmat(path)
    return arrays
