"""What compression as a JPEG leaves of pictures, for a batch at once and on any device.

Only what loses anything is done: the change of colours, chroma at half the size, and the rounding of the coefficients of
blocks of 8 x 8 pixels (ITU-T T.81 with the tables of its annex K, scaled by quality as libjpeg does). How they are then
packed loses nothing.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SIDE = 8
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def compressed(pictures: Float[Tensor, "b 3 h w"], quality: Float[Tensor, "b"]) -> Float[Tensor, "b 3 h w"]:
    """The pictures, of floats from 0 to 1, after a JPEG of each one's quality, from 1 to 100."""
    height, width = pictures.shape[2:]
    block = 2 * SIDE  # of chroma, in px of the picture
    padded = F.pad(pictures, (0, -width % block, 0, -height % block), mode="replicate")
    levels = (255 * padded).round_()
    ycc = _times(_TO_YCC, levels)
    ycc[:, 0] -= 128
    luma = _rounded(ycc[:, :1], _table(_LUMA, quality))
    chroma = _rounded(F.avg_pool2d(ycc[:, 1:], 2), _table(_CHROMA, quality))
    chroma = F.interpolate(chroma, scale_factor=2.0, mode="bilinear")
    rgb = _times(_TO_RGB, torch.cat([luma + 128, chroma], 1))
    return rgb[:, :, :height, :width].div(255).clamp_(0, 1)


def _rounded(planes: Float[Tensor, "b c h w"], table: Float[Tensor, "b 8 8"]) -> Float[Tensor, "b c h w"]:
    """The planes with the coefficients of their blocks rounded to multiples of the table's."""
    cosine = _cosines(planes)
    b, c, h, w = planes.shape
    rows = torch.matmul(cosine, planes.reshape(b, c, h // SIDE, SIDE, w))
    both = torch.matmul(rows.view(-1, SIDE), cosine.T).view(b, c, h // SIDE, SIDE, w // SIDE, SIDE)
    step = table[:, None, None, :, None, :]
    both = (both / step).round_().mul_(step)
    rows = torch.matmul(both.view(-1, SIDE), cosine).view(b, c, h // SIDE, SIDE, w)
    return torch.matmul(cosine.T, rows).reshape(b, c, h, w)


def _cosines(like: Tensor) -> Float[Tensor, "8 8"]:
    """The orthonormal cosine transform: a row for each frequency."""
    at = torch.arange(SIDE, device=like.device, dtype=like.dtype)
    rows = torch.cos(math.pi / SIDE * (at[None] + 0.5) * at[:, None]) * math.sqrt(2 / SIDE)
    return torch.cat([rows[:1] / math.sqrt(2), rows[1:]])


def _table(base: tuple[tuple[int, ...], ...], quality: Float[Tensor, "b"]) -> Float[Tensor, "b 8 8"]:
    scale = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    table = _constants(base, quality.device)
    return ((table * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)


@lru_cache(maxsize=32)
def _constants(rows: tuple[tuple[float, ...], ...], device: torch.device) -> Float[Tensor, "r c"]:
    """Brought to a device once: bringing them there makes it wait."""
    return torch.tensor(rows, dtype=torch.float32, device=device)


def _times(matrix: tuple[tuple[float, ...], ...], pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    return torch.matmul(_constants(matrix, pictures.device), pictures.flatten(2)).unflatten(2, pictures.shape[2:])
