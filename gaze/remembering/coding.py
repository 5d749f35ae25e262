"""How a row of numbers is kept: in half precision, or in 8 bits with a scale for every few of them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

GROUP = 64  # numbers that share a scale


@runtime_checkable
class Coding(Protocol):
    """Rows of numbers to rows of bytes, and back."""

    name: str

    def size(self, numbers: int) -> int:
        """Bytes of a row."""

    def encode(self, rows: Float[Tensor, "n k"]) -> UInt8[Tensor, "n s"]:
        """The bytes of rows, on the CPU."""

    def decode(self, rows: UInt8[Tensor, "n s"], numbers: int) -> Float[Tensor, "n k"]:
        """The numbers of rows, which may share their memory."""


class Half:
    """float16: an error of at most 5e-4 of each number."""

    name = "float16"

    def size(self, numbers: int) -> int:
        return 2 * numbers

    def encode(self, rows: Float[Tensor, "n k"]) -> UInt8[Tensor, "n s"]:
        return rows.half().contiguous().view(torch.uint8)

    def decode(self, rows: UInt8[Tensor, "n s"], numbers: int) -> Float[Tensor, "n k"]:
        return rows.view(torch.float16)


class Eighth:
    """8 bits, and a bfloat16 scale for every 64 numbers: 0.516 of half precision's bytes.

    An error of at most 0.4 % of the largest number among the 64, which is 0.6 % of the norm where they are normally
    distributed. One scale for a whole picture would leave little of it: transformers have single channels that are a
    hundred times as large as others.
    """

    name = "int8"

    def size(self, numbers: int) -> int:
        return _groups(numbers) * (GROUP + 2)

    def encode(self, rows: Float[Tensor, "n k"]) -> UInt8[Tensor, "n s"]:
        groups = F.pad(rows.float(), (0, -rows.shape[1] % GROUP)).unflatten(1, (-1, GROUP))
        # bfloat16, which is as exact for tiny numbers; clamped, or a group of zeros would be divided by zero
        scale = (groups.abs().amax(-1) / 127).clamp(min=1e-30).bfloat16()
        levels = (groups / scale[..., None].float()).round_().clamp_(-127, 127).to(torch.int8)
        return torch.cat([levels.flatten(1).view(torch.uint8), scale.view(torch.uint8)], 1)

    def decode(self, rows: UInt8[Tensor, "n s"], numbers: int) -> Float[Tensor, "n k"]:
        levels, scale = rows.split([_groups(numbers) * GROUP, _groups(numbers) * 2], 1)
        scale = scale.contiguous().view(torch.bfloat16).float()
        found = levels.view(torch.int8).unflatten(1, (-1, GROUP)) * scale[..., None]
        return found.flatten(1)[:, :numbers]


CODINGS: dict[str, Coding] = {coding.name: coding for coding in (Half(), Eighth())}


def _groups(numbers: int) -> int:
    return -(-numbers // GROUP)
