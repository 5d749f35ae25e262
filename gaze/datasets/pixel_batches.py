"""Changes of pixels, for a batch at once: every picture by its own numbers, on whatever device it is.

Pictures are floats from 0 to 1. Nothing is drawn here: noise is a function of a picture's number and of a pixel's place, so
that it does not depend on the device or on what else is in the batch. What is asked for one picture is done for one picture
only: `only` takes the rows that are touched from numbers that the host knows, without asking the device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601
Numbers = Float[Tensor, "b"]
Pictures = Float[Tensor, "b 3 h w"]


def only(
    pictures: Pictures, touched: Bool[Tensor, "b"], change: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "b 3 h w"]:
    """The pictures, of which those that are touched are changed, in place.

    Args:
        touched: on the host.
        change: gives the pictures of some rows, from these and from the rows' numbers.
    """
    which = [row for row, is_touched in enumerate(touched.tolist()) if is_touched]
    if not which:
        return pictures
    rows = torch.tensor(which).to(pictures.device, non_blocking=True)
    if len(which) == len(pictures):
        return change(pictures, rows)
    return pictures.index_copy_(0, rows, change(pictures[rows], rows).to(pictures.dtype))


def grey(pictures: Pictures) -> Float[Tensor, "b 1 h w"]:
    """How light each pixel is."""
    red, green, blue = pictures.unbind(1)
    return (GREY[0] * red).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2])[:, None]


def contrasted(pictures: Pictures, factor: Numbers) -> Float[Tensor, "b 3 h w"]:
    """Further from, or closer to, the mean of each picture's greys."""
    mean = grey(pictures).mean((1, 2, 3))
    return (pictures * _each(factor)).add_(_each((1 - factor) * mean)).clamp_(0, 1)


def saturated(pictures: Pictures, factor: Numbers) -> Float[Tensor, "b 3 h w"]:
    """Each pixel further from, or closer to, its grey."""
    return (pictures * _each(factor)).add_(grey(pictures) * _each(1 - factor)).clamp_(0, 1)


def hued(pictures: Pictures, turns: Numbers) -> Float[Tensor, "b 3 h w"]:
    """The hue of HSV moved on, in turns of the colour wheel; value and saturation stay."""
    red, green, blue = pictures.unbind(1)
    most = torch.maximum(torch.maximum(red, green), blue)
    chroma = most - torch.minimum(torch.minimum(red, green), blue)
    span = chroma.clamp(min=1e-12)
    # The hue in sixths of a turn, from 0 at red; of greys any will do, for their chroma is 0
    by_blue, by_green, by_red = (red - green) / span + 4, (blue - red) / span + 2, (green - blue) / span
    hue = torch.where(most == red, by_red, torch.where(most == green, by_green, by_blue)).add_(6 * turns[:, None, None])
    channels = []
    for first in (5.0, 3.0, 1.0):
        away = (hue + first).remainder_(6)
        channels.append(most - chroma * torch.minimum(away, 4 - away).clamp_(0, 1))
    return torch.stack(channels, 1)


def coloured(pictures: Pictures, matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 h w"]:
    """Each pixel's colour times a matrix."""
    return torch.bmm(matrix, pictures.flatten(2)).unflatten(2, pictures.shape[2:]).clamp_(0, 1)


def blurred(pictures: Pictures, sigma_px: Numbers, reach: int) -> Float[Tensor, "b 3 h w"]:
    """A Gaussian blur of each picture's own width, its border reflected.

    Args:
        sigma_px: standard deviations above 0; the Gaussian ends at twice that, rounded up.
        reach: the largest such end, in px; below the pictures' sides.
    """
    away = torch.arange(reach + 1, device=pictures.device)
    weight = torch.exp(-0.5 * (away / sigma_px[:, None]).square()) * (away <= (2 * sigma_px[:, None]).ceil())
    weight = weight / (2 * weight.sum(1, keepdim=True) - weight[:, :1])
    for side in (2, 3):
        padded = F.pad(pictures, (0, 0, reach, reach) if side == 2 else (reach, reach, 0, 0), mode="reflect")
        length = pictures.shape[side]
        found = _each(weight[:, 0]) * pictures
        for step in range(1, reach + 1):
            both = padded.narrow(side, reach - step, length) + padded.narrow(side, reach + step, length)
            found.addcmul_(_each(weight[:, step]), both)
        pictures = found
    return pictures


def speckled(pictures: Pictures, sigma: Numbers, seed: Numbers) -> Float[Tensor, "b 3 h w"]:
    """With bell-shaped noise of each picture's own standard deviation.

    Every pixel's is the sum of the four bytes of a hash of its place and the seed, which is the same on any device.

    Args:
        seed: whole numbers below 2**24, which float32 holds exactly.
    """
    place = torch.arange(pictures[0].numel(), dtype=torch.int32, device=pictures.device)
    bits = (place * -1640531527)[None] + (seed.to(torch.int32) * 668265263)[:, None]  # odd numbers; both wrap
    for shift, factor in ((16, 2146121005), (15, -2073254261)):  # the mixing of a 32-bit integer hash
        bits ^= (bits >> shift) & ((1 << (32 - shift)) - 1)
        bits *= factor
    pairs = (bits & 0x00FF00FF) + ((bits >> 8) & 0x00FF00FF)
    four = (pairs & 0xFFFF) + (pairs >> 16)
    noise = (four.float() - 510.0).div_((4 * (256**2 - 1) / 12) ** 0.5)
    return (pictures + noise.view(pictures.shape) * _each(sigma)).clamp_(0, 1)


def erased(pictures: Pictures, edges: Float[Tensor, "b 4"], colour: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 h w"]:
    """With one colour in a rectangle: rows from, rows to, columns from, columns to."""
    return torch.where(inside(edges, pictures.shape[2:])[:, None], colour[:, :, None, None], pictures)


def inside(edges: Float[Tensor, "b 4"], size: tuple[int, ...] | torch.Size) -> Bool[Tensor, "b h w"]:
    """Which pixels are within rectangles: rows from, rows to, columns from, columns to."""
    top, bottom, left, right = edges[:, :, None].unbind(1)
    row, column = (torch.arange(length, device=edges.device) for length in size)
    return ((row >= top) & (row < bottom))[:, :, None] & ((column >= left) & (column < right))[:, None, :]


def lit(pictures: Pictures, along: Tensor, beside: Tensor, strength: Numbers) -> Float[Tensor, "b 3 h w"]:
    """With a bright ellipse, whose white falls off as a ball's height does.

    Args:
        along, beside: how far a pixel is from its middle in units of either half axis: the number at the first pixel, and
            what each column and each row adds; each [b, 3].
        strength: share of white in the middle.
    """
    height, width = pictures.shape[2:]
    row = torch.arange(height, device=pictures.device)[None, :, None]
    column = torch.arange(width, device=pictures.device)[None, None, :]
    square = [
        (at[:, 0, None, None] + at[:, 1, None, None] * column + at[:, 2, None, None] * row).square()
        for at in (along, beside)
    ]
    white = strength[:, None, None] * (1 - square[0] - square[1]).clamp_(min=0).sqrt_()
    return pictures + white[:, None] * (1 - pictures)


def sampled(
    pictures: Float[Tensor, "b 3 H W"], at: Float[Tensor, "b 2 3"], size: tuple[int, int]
) -> Float[Tensor, "b 3 h w"]:
    """Parts of pictures at a size, each pixel from the four around its place; what is outside repeats the border.

    Args:
        at: from a place (x, y, 1) in the result to one (x, y) in the picture, both in fractions of the sides.
    """
    height, width = size
    x = (torch.arange(width, device=at.device) + 0.5) / width
    y = (torch.arange(height, device=at.device) + 0.5) / height
    scale = 2 * at
    rows = scale[:, :, 1, None] * y + scale[:, :, 2, None] - 1  # [b, 2, h]
    columns = scale[:, :, 0, None] * x  # [b, 2, w]
    grid = torch.stack([rows[:, i, :, None] + columns[:, i, None, :] for i in (0, 1)], -1)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _each(numbers: Numbers) -> Float[Tensor, "b 1 1 1"]:
    return numbers[:, None, None, None]
