"""Which Gaussians reach into which tile of the pictures, sorted from near to far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.rasterize.projection import Splats

TILE = (4, 4)  # height, width in px; in larger ones most pixels are computed in vain, smaller ones make more pairs


class TileLists(NamedTuple):
    """The t tiles with anything in them, those with the longest lists first. Of k pairs the lists are one behind the other."""

    tile: Int[Tensor, "t"]  # number, over all pictures row by row
    start: Int[Tensor, "t"]  # of its list
    length: Int[Tensor, "t"]
    splat: Int[Tensor, "k"]  # row of `Splats`
    centre: Float[Tensor, "k 2"]  # x, y of the tile's centre, px


def grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tiles that cover a picture of this height and width."""
    return -(-size[0] // TILE[0]), -(-size[1] // TILE[1])


@torch.no_grad()
def tile_lists(splats: Splats, samples: int, size: tuple[int, int]) -> TileLists:
    """The lists of all tiles of the pictures of so many samples."""
    rows, columns = grid(size)
    order = splats.depth.argsort(stable=True)
    mean, reach = splats.shape[:, :2].index_select(0, order), splats.reach.index_select(0, order)
    left, width = _span(mean[:, 0], reach[:, 0], size[1], TILE[1])
    top, height = _span(mean[:, 1], reach[:, 1], size[0], TILE[0])
    number = width * height
    which = torch.repeat_interleave(number)
    place = torch.arange(which.shape[0], device=which.device) - (number.cumsum(0) - number).index_select(0, which)
    first = (splats.sample.index_select(0, order) * rows + top) * columns + left
    width = width.index_select(0, which)
    down = place // width
    tile = first.index_select(0, which) + down * columns + place - down * width
    tile, by_tile = tile.sort(stable=True)
    counts = torch.bincount(tile, minlength=samples * rows * columns)
    length, tiles = counts.sort(descending=True, stable=True)
    filled = int((length > 0).sum())
    length, tiles = length[:filled], tiles[:filled]
    start = (counts.cumsum(0) - counts).index_select(0, tiles)
    centre = torch.stack([(tile % columns + 0.5) * TILE[1], (tile // columns % rows + 0.5) * TILE[0]], -1)
    splat = order.index_select(0, which.index_select(0, by_tile))
    return TileLists(tiles, start, length, splat, centre.to(mean.dtype))


def _span(mean: Tensor, reach: Tensor, pixels: int, tile: int) -> tuple[Tensor, Tensor]:
    """Along one side, the first tile with a pixel whose centre is within reach, and the number of tiles."""
    first = (mean - reach - 0.5).ceil().clamp_min(0)
    last = (mean + reach - 0.5).floor().clamp_max(pixels - 1)
    low, high = (first / tile).floor(), (last / tile).floor()
    return low.long(), (high - low + 1).mul_(last >= first).long()
