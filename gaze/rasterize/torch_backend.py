"""Gaussians drawn by PyTorch alone: on any device, in float32 or float64."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from gaze.rasterize.compositing import composite
from gaze.rasterize.gaussians import Gaussians
from gaze.rasterize.projection import project
from gaze.rasterize.rendered import Rendered
from gaze.rasterize.tiles import TILE, grid, tile_lists

TINY = 1e-10  # alpha


def rasterize(
    gaussians: Gaussians,
    world_to_camera: Float[Tensor, "b 4 4"],
    camera: Float[Tensor, "b 3 3"],
    size: tuple[int, int],
    near: float = 0.01,
    antialiased: bool = False,
) -> Rendered:
    """The pictures of this height and width in px, over black; see `gaze.rasterize.rasterizer.Rasterizer`."""
    samples, (rows, columns) = len(camera), grid(size)
    splats = project(gaussians, world_to_camera, camera, size, near, antialiased)
    lists = tile_lists(splats, samples, size)
    # Depth and alpha are composited like two more features
    feature = gaussians.feature.flatten(0, 1).index_select(0, splats.row)
    feature = torch.cat([feature, splats.depth[:, None], torch.ones_like(splats.depth)[:, None]], 1)
    drawn = composite(splats.shape, feature, lists)
    canvas = drawn.new_zeros(samples * rows * columns, *drawn.shape[1:]).index_copy(0, lists.tile, drawn)
    pictures = rearrange(
        canvas, "(b y x) (v u) c -> b c (y v) (x u)", b=samples, y=rows, x=columns, v=TILE[0], u=TILE[1]
    )[:, :, : size[0], : size[1]]
    alpha = pictures[:, -1]
    return Rendered(pictures[:, :-2], alpha, pictures[:, -2] / alpha.clamp_min(TINY))
