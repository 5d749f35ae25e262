"""The colours of synthetic scenes, RGB in [0, 1]."""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor


def _colors(*codes: str) -> Float64[Tensor, "k 3"]:
    return torch.tensor([[int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)] for code in codes], dtype=torch.float64)


# Far apart from each other, so that "the red one" is one thing.
OBJECTS = _colors("e0393e", "f28c28", "f7d038", "3fa34d", "1fa3a3", "2f6fde", "7b4bc4", "ee6fae", "f4f4f0", "3a3f4b")
WALLS = _colors("efe6d5", "d3e3ea", "dbe6d2", "eed9d4", "ddd8ea", "e3e3df", "f2e3c0", "c9d8dd")
FLOORS = _colors("b58a63", "a89f94", "9c7b5b", "8f9a9c", "c2a383", "7d8f86", "b9a8a0")
SKINS = _colors("f6d3bd", "eebf9f", "dda27c", "c08457", "96613d", "6b4229")
HAIRS = _colors("2a211c", "4b3222", "7a4a2b", "b98b4e", "d9b86c", "9a3f22", "8c8c8c", "e4e0da")
CLOTHS = _colors("3e6fa8", "b8504f", "5c8f5a", "d19a3e", "7c6aa8", "4a8e92", "c77f9a", "556070", "e2e0d8")
TROUSERS = _colors("36455c", "5b5048", "3f4a3f", "6d6d74", "2f3238", "7a6a55")
IRISES = _colors("3f2a1a", "5a3a1e", "2f4d66", "35523a", "4a4a52")
PICTURES = _colors("6d8ea0", "b5836a", "7f9a78", "a58aa8", "c2ad72", "5f6b7c")
EYES = _colors(
    "5c3a21", "3d2817", "4f7391", "5f7a4f", "7d7a6c"
)  # irises close up: brown, dark brown, blue, green, grey
RIMS = _colors("1c1a1a", "2b2320", "4a3220", "5a5d63", "33415c")
