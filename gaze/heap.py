"""Memory that is free but not given back."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Return to the system what reading labels has left with the allocators: more than the labels themselves take."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
    if trim is not None:
        trim(0)
