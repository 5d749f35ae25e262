"""What the machine could do at best: multiplications of a transformer's shapes, and the decoding of JPEGs."""

from __future__ import annotations

import io
from functools import partial

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gaze.benchmark.clock import interleaved

# Rows, inner and outer dimensions of the products that a ViT-B and the decoder spend their time in.
# A GPU is kept busy by the products of a whole batch only.
SHAPES = ((1024, 768, 768), (1024, 768, 2304), (1024, 768, 3072), (1024, 256, 1024))
BATCHES = ((65536, 768, 768), (65536, 768, 3072), (65536, 3072, 768), (8192, 8192, 8192))
REPEATS = {"cpu": 4, "cuda": 16}


def product_rate(dtype: torch.dtype, device: torch.device, rounds: int) -> float:
    """The best floating-point operations per second of matrix products of these shapes."""
    best, repeats = 0.0, REPEATS.get(device.type, 4)
    for m, k, n in BATCHES if device.type == "cuda" else SHAPES:
        a, b = torch.randn(m, k, device=device, dtype=dtype), torch.randn(n, k, device=device, dtype=dtype)
        timing = interleaved({"product": partial(_products, a, b, repeats)}, rounds, device)
        best = max(best, repeats * 2.0 * m * k * n / timing["product"].best)
    return best


def _products(a: Tensor, b: Tensor, repeats: int) -> None:
    for _ in range(repeats):
        F.linear(a, b)


def jpeg_bytes(height: int = 480, width: int = 640) -> bytes:
    """A JPEG of smooth shapes and some noise, which is about as hard to decode as a photograph (90 kB at 640 x 480)."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // 32, width // 32, generator=generator)
    picture = F.interpolate(coarse, (height, width), mode="bicubic")[0] * 200 + 25
    picture = picture + 11 * torch.randn(picture.shape, generator=generator)
    buffer = io.BytesIO()
    pixels = picture.clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
