"""Rows in main memory, for the life of a process."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

from jaxtyping import UInt8
from torch import Tensor

logger = logging.getLogger(__name__)

GIGA = 1_000_000_000


@runtime_checkable
class Kept(Protocol):
    """Where rows of bytes are kept, by key.

    Attributes:
        durable: may rows be there that another process has computed?
    """

    durable: bool

    def open(self, size: int, shape: tuple[int, ...]) -> None:
        """Once, before anything else: the bytes of a row, and the shape of what it stands for."""

    def read(self, keys: Sequence[Hashable], out: UInt8[Tensor, "n s"]) -> list[bool]:
        """Which keys are known; their rows are written into `out`."""

    def write(self, keys: Sequence[Hashable], rows: UInt8[Tensor, "n s"]) -> None:
        """Keep these rows, as many as fit."""


class Memory:
    """A bounded dictionary of rows.

    Args:
        gigabytes: most memory; what comes later is not kept.
        name: what messages call the network.

    Raises:
        ValueError: `gigabytes` is negative.
    """

    durable = False

    def __init__(self, gigabytes: float, name: str) -> None:
        if gigabytes < 0:
            raise ValueError(f"the memory for {name} is {gigabytes} GB; expected 0 or more")
        self.left, self.name = round(gigabytes * GIGA), name
        self.rows: dict[Hashable, Tensor] = {}
        self.full = self.hit = False

    def open(self, size: int, shape: tuple[int, ...]) -> None:
        pass

    def read(self, keys: Sequence[Hashable], out: UInt8[Tensor, "n s"]) -> list[bool]:
        known = []
        for place, key in zip(out, keys, strict=True):
            row = self.rows.get(key)
            known.append(row is not None and row.shape == place.shape)
            if row is not None and known[-1]:
                place.copy_(row)
        self.hit = self.hit or any(known)
        return known

    def write(self, keys: Sequence[Hashable], rows: UInt8[Tensor, "n s"]) -> None:
        for key, row in zip(keys, rows, strict=True):
            if key in self.rows:  # twice in one batch
                continue
            if self.left < row.numel():
                if not self.full and not self.hit:
                    logger.warning(
                        "%s: memory is full and no input has come back yet: augmentation makes each one new; "
                        "take augmentation out, or spare the memory",
                        self.name,
                    )
                self.full = True
                return
            self.rows[key] = row.clone()  # a view would keep the whole batch
            self.left -= row.numel()
