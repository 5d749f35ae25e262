"""SSIM: how alike two pictures are in brightness, contrast and structure (Wang et al. 2004)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SIDE = 11  # px of the window
SIGMA = 1.5  # px of its Gaussian
C1, C2 = 0.01**2, 0.03**2  # for values in [0, 1]
FULL = 256  # px of the shorter side above which `viewed` makes pictures smaller


def structural_similarity(
    found: Float[Tensor, "b c H W"], truth: Float[Tensor, "b c H W"], padded: bool = True
) -> Float[Tensor, "b"]:
    """SSIM of pictures in [0, 1]: 1 for the same, the mean over pixels and channels.

    The moments of both are smoothed as channels of one depthwise convolution, first down and then across: with one row
    of the batch for each channel instead, a processor takes ten to thirty times as long.

    Args:
        padded: a window for every pixel, with zeros around the picture, as losses have it; else only those windows that
            lie within it, as reported figures have it.

    Raises:
        ValueError: `padded` is off, and a picture is smaller than the window.
    """
    height, width = found.shape[-2:]
    if not padded and min(height, width) < SIDE:
        raise ValueError(
            f"pictures of {height} x {width} px; SSIM without padding needs {SIDE} px or more on both sides"
        )
    maps = torch.stack([found, truth, found.square(), truth.square(), found * truth])
    x, y, xx, yy, xy = _smoothed(maps, SIDE // 2 if padded else 0)
    mean_xx, mean_yy, mean_xy = x.square(), y.square(), x * y
    brightness = (2 * mean_xy + C1) / (mean_xx + mean_yy + C1)
    structure = (2 * (xy - mean_xy) + C2) / ((xx - mean_xx) + (yy - mean_yy) + C2)
    return (brightness * structure).mean((1, 2, 3))


def viewed(image: Float[Tensor, "b c H W"]) -> Float[Tensor, "b c h w"]:
    """The picture at the size at which reported SSIM looks at it: averaged over squares so that it has about 256 px.

    It is what Wang et al. recommend for pictures of an unknown viewing distance, and the default of the library that
    GazeGaussian's figures come from.
    """
    factor = max(1, round(min(image.shape[-2:]) / FULL))
    return F.avg_pool2d(image, factor) if factor > 1 else image


def _smoothed(maps: Float[Tensor, "m b c H W"], padding: int) -> Float[Tensor, "m b c h w"]:
    lead = maps.shape[:3]
    at = torch.arange(SIDE, device=maps.device, dtype=maps.dtype) - SIDE // 2
    window = (-at.square() / (2 * SIGMA**2)).exp()
    window = (window / window.sum()).expand(math.prod(lead), 1, SIDE)
    flat = maps.flatten(0, 2)[None]
    down = F.conv2d(flat, window[..., None], padding=(padding, 0), groups=len(window))
    across = F.conv2d(down, window[..., None, :], padding=(0, padding), groups=len(window))
    return across[0].unflatten(0, lead)
