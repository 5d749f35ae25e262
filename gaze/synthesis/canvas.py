"""Draws primitives on images: each in its own bounding box, furthest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from gaze.synthesis.primitives import Primitive, merge

# Sides of the patches that shapes are evaluated in: shapes of about one size are evaluated together.
SIDES = torch.tensor([8, 12, *range(16, 64, 8), *range(64, 256, 32), *range(256, 512, 64), *range(512, 4097, 256)])
PATCH_PIXELS = 1 << 18  # evaluated at once: what is shared by a batch costs little then, and memory stays in bounds


class Patch(NamedTuple):
    """A shape's rectangle in the image, and its pixels."""

    scene: int
    x: int
    y: int
    color: Float32[Tensor, "3 h w"]  # times coverage
    transparency: Float32[Tensor, "1 h w"]


def evaluate(shapes: Sequence[Primitive], scenes: int, height: int, width: int) -> list[list[Patch]]:
    """The pixels of all shapes, for each scene from the furthest to the nearest, cut off at the frame."""
    shapes = merge(shapes)
    patches = [patch for group in shapes for patch in _patches(group, height, width)]
    sorted_by_scene: list[list[Patch]] = [[] for _ in range(scenes)]
    for i in _order(shapes, height, width):
        sorted_by_scene[patches[i].scene].append(patches[i])
    return sorted_by_scene


def compose(picture: Float32[Tensor, "3 H W"], patches: Sequence[Patch]) -> None:
    """Paint the patches over a picture (0 to 255), in place and in their order."""
    for _, x, y, color, transparency in patches:
        _, height, width = color.shape
        picture[:, y : y + height, x : x + width].mul_(transparency).add_(color)


def _visible(group: Primitive, height: int, width: int) -> tuple[Int64[Tensor, "j"], Int64[Tensor, "j 4"]]:
    """The numbers of the shapes that touch the image, and their boxes in whole px, inside the image."""
    bounds = group.bounds()
    low = bounds[:, :2].floor().clamp_min(0)
    high = torch.minimum(bounds[:, 2:].ceil(), bounds.new_tensor([width, height]))
    keep = (high > low).all(1).nonzero()[:, 0]
    return keep, torch.cat([low, high], 1)[keep].to(torch.int64)


def _patches(group: Primitive, height: int, width: int) -> list[Patch]:
    keep, box = _visible(group, height, width)
    shapes = group.take(keep)
    bucket = torch.bucketize(box[:, 2:] - box[:, :2], SIDES)
    patches: list[Patch] = [None] * len(keep)  # type: ignore[list-item]
    keys, member = torch.unique(bucket, dim=0, return_inverse=True)
    for key, (side_x, side_y) in enumerate(SIDES[keys].tolist()):
        numbers = (member == key).nonzero()[:, 0]
        for some in numbers.split(max(1, PATCH_PIXELS // (side_x * side_y))):
            corner = box[some].to(torch.float64) + 0.5  # pixel centres
            x = corner[:, 0, None, None] + torch.arange(side_x)
            y = corner[:, 1, None, None] + torch.arange(side_y)[:, None]
            color, transparency = shapes.take(some).shade(x, y)
            places = zip(some.tolist(), shapes.scene[some].tolist(), box[some].tolist(), strict=True)
            for j, (number, scene, (x0, y0, x1, y1)) in enumerate(places):
                here = (j, slice(None), slice(y1 - y0), slice(x1 - x0))
                patches[number] = Patch(scene, x0, y0, color[here], transparency[here])
    return patches


def _order(shapes: Sequence[Primitive], height: int, width: int) -> list[int]:
    """The numbers of all patches, by scene, then from far to near, then by layer."""
    kept = [group.take(_visible(group, height, width)[0]) for group in shapes]
    if not kept:
        return []
    order = torch.arange(sum(len(group.scene) for group in kept))
    for key in (
        torch.cat([group.layer for group in kept]),
        torch.cat([-group.depth for group in kept]),
        torch.cat([group.scene for group in kept]),
    ):
        order = order[key[order].argsort(stable=True)]
    return order.tolist()
