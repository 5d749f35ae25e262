"""Remembers what a frozen network said about inputs that come back: exact keys, few bits, bounded room."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Int, Shaped, UInt8
from torch import Tensor

from gaze.errors import UserError
from gaze.remembering.coding import Coding, Half
from gaze.remembering.memory import Kept, Memory

Compute = Callable[[Int[Tensor, "m"]], Shaped[Tensor, "m ..."]]

OTHER = 0.05  # of the norm: more than number formats and devices make of the same network
SUMS = 3  # of a fingerprint
SHIFT = 2.0**23  # a float32 of this size has steps of 1


class Recall:
    """Rows by key, computed once and then kept until there is no more room.

    What is computed anew is rounded as what is kept, so that an answer doesn't depend on what is remembered.

    Args:
        gigabytes: most memory for rows; what comes later is computed each time.
        name: what messages call the network.
        kept: where rows are, in place of that memory.
        coding: how they are kept; None: as float16.

    Raises:
        ValueError: `gigabytes` is negative; in a call, an answer is not finite or too large for float16.
    """

    def __init__(self, gigabytes: float, name: str, kept: Kept | None = None, coding: Coding | None = None) -> None:
        self.kept: Kept = Memory(gigabytes, name) if kept is None else kept
        self.coding: Coding = Half() if coding is None else coding
        self.name = name
        self.shape: tuple[int, ...] | None = None  # of a row
        self.hits = 0
        self.met = not self.kept.durable  # was a kept row compared with what the network says?

    def __call__(self, keys: Sequence[Hashable], compute: Compute) -> Shaped[Tensor, "n ..."]:
        """A row for each key, on the CPU or, if all are new and kept as float16, on the device that computed them.

        Args:
            compute: the rows of those inputs, given by number, that are not remembered.

        Raises:
            UserError: what was kept by another process is not what the network says.
        """
        first = None
        if self.shape is None and self.kept.durable:
            first = self._rounded(compute(torch.tensor([0])))  # tells the size of rows, by which they are found
        rows = torch.empty(len(keys), self._size() if self.shape is not None else 0, dtype=torch.uint8)
        known = self.kept.read(keys, rows) if self.shape is not None else [False] * len(keys)
        if not self.met and any(known):
            number = known.index(True)
            said = self._rounded(compute(torch.tensor([number]))) if first is None or number else first
            self._meet(rows[number : number + 1], said.cpu())
        unknown = [number for number, found in enumerate(known) if not found]
        self.hits += len(keys) - len(unknown)
        if not unknown:
            return self._told(rows)
        fresh = self._rounded(compute(torch.tensor(unknown)))
        here = self.coding.encode(fresh.cpu().flatten(1))
        self.kept.write([keys[number] for number in unknown], here)
        if len(unknown) == len(keys):
            return fresh if isinstance(self.coding, Half) else self._told(here)
        rows[unknown] = here
        return self._told(rows)

    def _meet(self, row: UInt8[Tensor, "1 s"], said: Shaped[Tensor, "1 ..."]) -> None:
        """Compare one row that is kept with what the network says."""
        found = self._told(row).float()
        if not (found - said.float()).norm() <= OTHER * said.float().norm() + 1e-6:
            raise UserError(
                f"{self.name}: what {self.kept} holds is not what the network says now, although weights and settings "
                "are the same; remove that directory"
            )
        self.met = True

    def _rounded(self, answers: Shaped[Tensor, "m ..."]) -> Shaped[Tensor, "m ..."]:
        half = answers.half()
        if not half.isfinite().all():
            raise ValueError(
                f"what {self.name} said is not finite in half precision, so it can't be remembered; train without that"
            )
        if self.shape != half.shape[1:]:
            self.shape = tuple(half.shape[1:])
            self.kept.open(self._size(), self.shape)
        return half

    def _told(self, rows: UInt8[Tensor, "n s"]) -> Float[Tensor, "n ..."]:
        assert self.shape is not None
        return self.coding.decode(rows, math.prod(self.shape)).reshape(len(rows), *self.shape)

    def _size(self) -> int:
        assert self.shape is not None
        return self.coding.size(math.prod(self.shape))


def fingerprints(*parts: Shaped[Tensor, "n ..."], about: str = "") -> list[bytes]:
    """A key of 16 bytes for each row of the parts, equal for equal values, and the same on every device.

    Images in [0, 1] are compared as the 8 bits a channel they came from, other numbers bit by bit; images that lie in memory
    channels last have other keys than those that don't. Two rows that differ
    have the same sums with a probability below 2^-99, whichever they are, and then the same 16 bytes with one of 2^-128: among
    10^8 pictures, which are 5e15 pairs, some two are taken for each other with a probability of 8e-15.

    Args:
        about: what else the keys are of.
    """
    sums = torch.cat([_each(part) for part in parts], 1).cpu()  # the one wait for the device
    told = f"{[(tuple(part.shape[1:]), _is_channels_last(part)) for part in parts]} {about}".encode()
    return [hashlib.blake2b(row.tobytes() + told, digest_size=16).digest() for row in sums.numpy()]


def _each(part: Shaped[Tensor, "n ..."]) -> Int[Tensor, "n s"]:
    if part.device.type != "cpu":
        return _sums(_words(part))
    return torch.cat([_sums(_words(row)) for row in part.split(1)])  # one picture stays in the processor's cache


def _words(part: Shaped[Tensor, "n ..."]) -> Int[Tensor, "n k"]:
    """The values of each row as whole numbers of 32 bits, in the order in which they lie in memory."""
    if _is_channels_last(part):  # to put bytes in another order takes longer than all the rest
        part = part.permute(0, 2, 3, 1)
    if part.ndim == 4 and part.is_floating_point():
        # 8 bits are the last ones of x * 255 + 2^23, rounded once by the sum: a quarter of the time of rounding it
        shift = torch.tensor(SHIFT, device=part.device)
        part = torch.add(shift, part.float(), alpha=255).view(torch.int32).to(torch.uint8)
    elif part.is_floating_point():
        part = part.float()
    elif part.dtype != torch.uint8:
        part = part.long()
    values = part.contiguous().flatten(1).view(torch.uint8)
    return torch.nn.functional.pad(values, (0, -values.shape[1] % 4)).view(torch.int32)


def _is_channels_last(part: Tensor) -> bool:
    return part.ndim == 4 and not part.is_contiguous() and part.is_contiguous(memory_format=torch.channels_last)


def _sums(words: Int[Tensor, "n k"]) -> Int[Tensor, "n s"]:
    """Weighted sums modulo 2^64: integers add up alike in any order, floats would not.

    Words that differ do so by less than 2^32, so at most 2^31 of all 2^64 weights give them one sum (Dietzfelbinger 1996).
    """
    wide = words.long()  # once, and not in each product
    return torch.stack([(wide * weights).sum(1) for weights in _weights(words.shape[1], words.device)], 1)


@lru_cache(maxsize=16)
def _weights(words: int, device: torch.device) -> list[Int[Tensor, "k"]]:
    generator = torch.Generator().manual_seed(words)
    drawn = [torch.randint(-(2**63), 2**63 - 1, (words,), generator=generator) for _ in range(SUMS)]
    return [weights.to(device) for weights in drawn]
