"""Random numbers that are a function of (seed, stream, index), computed for many scenes at once.

torch's CPU generator keeps 32 bits of its seed: seeds 1 and 2**32 + 1 draw the same numbers, and among
100,000 scenes seeded by a hash two would probably be equal. So numbers come from a counter here:
SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", 2014) of a 64-bit
stream key, the scene's index and the position of the draw. Its steps are bijections of 64-bit words,
so that no two scenes of a stream share a key.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float64, Int64, Shaped
from torch import Tensor

GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # SplitMix64's increment and multipliers as signed words
FIRST = 0xBF58476D1CE4E5B9 - 2**64
SECOND = 0x94D049BB133111EB - 2**64


class Draws:
    """The random numbers of some scenes; each call takes the next ones of every scene.

    Args:
        seed: any integer.
        stream: what the numbers are for; different names give unrelated numbers.
        indices: one number per scene, 0 or more.
    """

    def __init__(self, seed: int, stream: str, indices: Sequence[int]) -> None:
        digest = hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest()
        key = int.from_bytes(digest, "little", signed=True)
        index = torch.tensor(list(indices), dtype=torch.int64)
        self._keys = _mix(key + index * GOLDEN)
        self._used = 0

    def uniform(self, low: float, high: float, *shape: int) -> Float64[Tensor, "b ..."]:
        """Numbers in [low, high), of the given shape for every scene."""
        count = math.prod(shape)
        position = torch.arange(self._used + 1, self._used + count + 1)
        self._used += count
        bits = _shift(_mix(self._keys[:, None] + position * GOLDEN), 11)
        unit = bits.to(torch.float64) * 2.0**-53
        return (low + (high - low) * unit).reshape(len(self._keys), *shape)

    def normal(self, *shape: int) -> Float64[Tensor, "b ..."]:
        """Numbers of the standard normal distribution, by Box and Muller's transform."""
        radius = (-2 * torch.log1p(-self.uniform(0, 1, *shape))).sqrt()
        return radius * self.uniform(0, 2 * math.pi, *shape).cos()

    def integers(self, low: int, high: int, *shape: int) -> Int64[Tensor, "b ..."]:
        """Whole numbers from low to high, both included."""
        return self.uniform(low, high + 1, *shape).floor().to(torch.int64)

    def pick(self, options: Shaped[Tensor, "k ..."], *shape: int) -> Shaped[Tensor, "b ..."]:
        """One row of `options`, for each scene and place in `shape`."""
        return options[self.integers(0, len(options) - 1, *shape)]

    def order(self, count: int) -> Int64[Tensor, "b count"]:
        """A permutation of 0 ... count - 1 for every scene."""
        return self.uniform(0, 1, count).argsort(dim=1)


def _shift(words: Int64[Tensor, "*n"], by: int) -> Int64[Tensor, "*n"]:
    """Shift right and fill with zeros; torch's own shift of a signed word copies the sign."""
    return (words >> by) & ((1 << (64 - by)) - 1)


def _mix(words: Int64[Tensor, "*n"]) -> Int64[Tensor, "*n"]:
    words = (words ^ _shift(words, 30)) * FIRST
    words = (words ^ _shift(words, 27)) * SECOND
    return words ^ _shift(words, 31)
