"""Batches of records as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import TypeVar

import torch

from gaze.types import Record

R = TypeVar("R", bound=Record)


def stacked(parts: Iterable[R]) -> R:
    """Batches one behind the other; a field that the first leaves out is left out."""
    first, *others = parts
    there = [f.name for f in fields(first) if getattr(first, f.name) is not None]
    return replace(first, **{name: torch.cat([getattr(part, name) for part in (first, *others)]) for name in there})
