"""Randomness as a function: one well-mixed seed from the numbers that identify a draw."""

from __future__ import annotations

import hashlib
import struct

import torch


def mix(*numbers: int) -> int:
    """A 63-bit seed that depends on every number and on their order."""
    digest = hashlib.blake2b(struct.pack(f"<{len(numbers)}q", *numbers), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(*numbers: int) -> torch.Generator:
    """A CPU generator seeded by `mix`."""
    return torch.Generator().manual_seed(mix(*numbers))
