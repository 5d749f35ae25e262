"""Which Gaussians reach into which tile of the pictures, sorted from near to far."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.rasterize.projection import Splats

TILE = 8  # px; with 16 more pixels are computed than are covered, with 4 there are more lists than that saves


class TileLists(NamedTuple):
    """The t tiles with anything in them, those with the longest lists first. `splat` has their lists one behind the other."""

    tile: Int[Tensor, "t"]  # number, over all pictures row by row
    corner: Float[Tensor, "t 2"]  # x, y of its upper left corner, px
    start: Int[Tensor, "t"]  # of its list
    length: Int[Tensor, "t"]
    splat: Int[Tensor, "k"]  # rows of `Splats`


def grid(size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of tiles that cover a picture of this height and width."""
    return -(-size[0] // TILE), -(-size[1] // TILE)


@torch.no_grad()
def tile_lists(splats: Splats, samples: int, size: tuple[int, int]) -> TileLists:
    """The lists of all tiles of the pictures of so many samples."""
    rows, columns = grid(size)
    order = splats.depth.argsort(stable=True)
    mean, reach = splats.shape[:, :2].index_select(0, order), splats.reach.index_select(0, order)
    # Pixels whose centres are within reach, and their tiles
    limit = torch.tensor([size[1] - 1, size[0] - 1], dtype=mean.dtype, device=mean.device)
    first = (mean - reach - 0.5).ceil().clamp_min(0)
    last = torch.minimum((mean + reach - 0.5).floor(), limit)
    low, high = (first / TILE).floor().long(), (last / TILE).floor().long()
    spans = torch.where((last < first).any(-1, keepdim=True), 0, high - low + 1)
    number = spans[:, 0] * spans[:, 1]
    which = torch.repeat_interleave(number)
    place = torch.arange(which.shape[0], device=which.device) - (number.cumsum(0) - number).index_select(0, which)
    first_tile = (splats.sample.index_select(0, order) * rows + low[:, 1]) * columns + low[:, 0]
    width = spans[:, 0].index_select(0, which)
    tile = first_tile.index_select(0, which) + place // width * columns + place % width
    tile, by_tile = tile.sort(stable=True)
    counts = torch.bincount(tile, minlength=samples * rows * columns)
    length, tiles = counts.sort(descending=True, stable=True)
    filled = int((length > 0).sum())
    length, tiles = length[:filled], tiles[:filled]
    corner = torch.stack([tiles % columns, tiles // columns % rows], -1).to(mean.dtype) * TILE
    start = (counts.cumsum(0) - counts).index_select(0, tiles)
    return TileLists(tiles, corner, start, length, order.index_select(0, which.index_select(0, by_tile)))
