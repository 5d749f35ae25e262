"""Drawing Gaussians, forward and backward, against loops over them or over tiles, and views together against one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor

from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result, largest
from gaze.hardware import Hardware
from gaze.rasterize.compositing import LEAST_LIGHT, MOST_ALPHA
from gaze.rasterize.gaussians import Gaussians
from gaze.rasterize.projection import LEAST_ALPHA, project
from gaze.rasterize.rasterizer import Rasterizer
from gaze.rasterize.tiles import TILE, grid, tile_lists

AXES = (0.8, 1.0, 0.9)  # of the ellipsoid on which the Gaussians lie, as the skin of a head
COVERED = 0.4  # of the picture
DISTANCE = 8.0
NEAR = 0.01

Step = Callable[[], tuple[Tensor, ...]]


class Shape(NamedTuple):
    """What is drawn."""

    number: int
    pixels: int
    goal: float  # over the loop
    loop: str  # over gaussians or tiles
    channels: int = 32


SHAPES = (
    Shape(1_000, 64, 20.0, "gaussians"),
    Shape(5_000, 64, 1.5, "tiles"),
    Shape(20_000, 128, 20.0, "gaussians"),
    Shape(20_000, 128, 1.5, "tiles"),
    Shape(144_000, 128, 1.5, "tiles"),
)
QUICK = (Shape(300, 32, 20.0, "gaussians"), Shape(2_000, 64, 1.5, "tiles"))
VIEWS = Shape(5_000, 64, 1.0, "views")


def raster_training(
    rounds: int, hardware: Hardware, small: bool = False, shapes: tuple[Shape, ...] | None = None
) -> Iterator[Result]:
    """Each shape in turn: one picture of a head-shaped cloud and the gradients of all its Gaussians."""
    shapes = shapes or (QUICK if small else SHAPES)
    loops = {"gaussians": loop_over_gaussians, "tiles": loop_over_tiles}
    for shape in shapes:
        cloud, cameras = head_cloud(1, shape, hardware), head_cameras(1, shape, hardware)
        size = (shape.pixels, shape.pixels)
        candidates = {
            "published": partial(_step, partial(loops[shape.loop], cameras=cameras, size=size), cloud),
            "ours": partial(_step, partial(_ours, cameras=cameras, size=size), cloud),
        }
        name = f"{shape.number} Gaussians, {shape.pixels}² x {shape.channels}, against a loop over {shape.loop}"
        yield _measured(name, 1, candidates, {"ours": shape.goal}, rounds, hardware)


def raster_views(
    rounds: int, hardware: Hardware, small: bool = False, shape: Shape = VIEWS, views: int = 4
) -> Iterator[Result]:
    """So many clouds, each before a camera of its own, in one call against one by one."""
    shape = shape._replace(number=1_000) if small else shape
    cloud, cameras = head_cloud(views, shape, hardware), head_cameras(views, shape, hardware)
    size = (shape.pixels, shape.pixels)

    def alone(cloud: Gaussians) -> Tensor:
        each = range(views)
        singles = [(cloud.map(lambda t, i=i: t[i : i + 1]), [c[i : i + 1] for c in cameras]) for i in each]
        return torch.cat([_ours(one, camera, size) for one, camera in singles])

    candidates = {
        "published": partial(_step, alone, cloud),
        "together": partial(_step, partial(_ours, cameras=cameras, size=size), cloud),
    }
    name = f"{views} views of {shape.number} Gaussians, {shape.pixels}² x {shape.channels}, against one by one"
    yield _measured(name, views, candidates, {"together": shape.goal}, rounds, hardware)


def head_cloud(samples: int, shape: Shape, hardware: Hardware) -> Gaussians:
    """Gaussians on an ellipsoid, about as large as they are apart, of opacity 0.3."""
    draws = torch.Generator().manual_seed(0)

    def rand(*size: int) -> Tensor:
        return torch.rand(samples, shape.number, *size, generator=draws)

    direction = torch.nn.functional.normalize(torch.randn(samples, shape.number, 3, generator=draws), dim=-1)
    apart = math.sqrt(4 * math.pi * AXES[2] ** 2 / shape.number)
    cloud = Gaussians(
        mean=direction * torch.tensor(AXES),
        quaternion=torch.randn(samples, shape.number, 4, generator=draws),
        scale=0.8 * apart * (0.5 + rand(3)),
        opacity=torch.full((samples, shape.number), 0.3),
        feature=rand(shape.channels),
    )
    return cloud.to(hardware.device)


def head_cameras(samples: int, shape: Shape, hardware: Hardware) -> list[Tensor]:
    """Cameras in front of the cloud, which covers `COVERED` of their pictures: world to camera, and matrices in px."""
    focal = DISTANCE * shape.pixels * math.sqrt(COVERED / (math.pi * AXES[0] * AXES[1]))
    matrix = torch.tensor([[focal, 0, shape.pixels / 2], [0, focal, shape.pixels / 2], [0, 0, 1]])
    place = torch.eye(4)
    place[2, 3] = DISTANCE
    return [t.repeat(samples, 1, 1).to(hardware.device) for t in (place, matrix)]


def loop_over_gaussians(cloud: Gaussians, cameras: list[Tensor], size: tuple[int, int]) -> Tensor:
    """One Gaussian after the other on the pixels that it reaches, by autograd: what the definition says."""
    splats, (height, width) = project(cloud, cameras[0], cameras[1], size, NEAR, False), size
    feature = cloud.feature[0].index_select(0, splats.row)
    light, picture = cloud.mean.new_ones(size), cloud.mean.new_zeros(*size, feature.shape[1])
    spot, reach = splats.shape[:, :2].tolist(), splats.reach.tolist()
    for i in splats.depth.argsort(stable=True).tolist():
        (x, y), (dx, dy) = spot[i], reach[i]
        left, right = max(math.floor(x - dx), 0), min(math.ceil(x + dx), width)
        top, bottom = max(math.floor(y - dy), 0), min(math.ceil(y + dy), height)
        u = torch.arange(left, right, device=light.device) + 0.5
        v = torch.arange(top, bottom, device=light.device)[:, None] + 0.5
        before = light[top:bottom, left:right].clone()
        alpha = _alpha(splats.shape[i], u, v)
        after = before * (1 - alpha)
        weight = (alpha * before) * (after > LEAST_LIGHT)
        light[top:bottom, left:right] = after
        picture[top:bottom, left:right] += weight[..., None] * feature[i]
    return picture.movedim(-1, 0)[None]


def loop_over_tiles(cloud: Gaussians, cameras: list[Tensor], size: tuple[int, int]) -> Tensor:
    """One tile after the other, all its Gaussians on all its pixels, by autograd: how it is usually written in PyTorch."""
    splats = project(cloud, cameras[0], cameras[1], size, NEAR, False)
    feature = cloud.feature[0].index_select(0, splats.row)
    lists, (rows, columns) = tile_lists(splats, 1, size), grid(size)
    tiles = list(feature.new_zeros(rows * columns, *TILE, feature.shape[1]).unbind())
    for tile, start, length in zip(*(t.tolist() for t in (lists.tile, lists.start, lists.length)), strict=True):
        splat = lists.splat[start : start + length]
        u = torch.arange(TILE[1], device=feature.device) + tile % columns * TILE[1] + 0.5
        v = torch.arange(TILE[0], device=feature.device)[:, None] + tile // columns * TILE[0] + 0.5
        alpha = _alpha(splats.shape[splat].t()[..., None, None], u, v)
        after = torch.cumprod(1 - alpha, 0)
        before = torch.cat([torch.ones_like(after[:1]), after[:-1]])
        weight = alpha * before * (after > LEAST_LIGHT)
        tiles[tile] = torch.einsum("kvu,kc->vuc", weight, feature[splat])
    picture = rearrange(torch.stack(tiles), "(y x) v u c -> 1 c (y v) (x u)", y=rows, x=columns)
    return picture[:, :, : size[0], : size[1]]


def _alpha(shape: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """What splats cover of the pixels at (u, v)."""
    x, y, xx, xy, yy, log_opacity = shape.unbind()
    du, dv = u - x, v - y
    alpha = (log_opacity - (xx * du * du + yy * dv * dv) / 2 - xy * du * dv).exp()
    return torch.where(alpha > LEAST_ALPHA, alpha, 0.0).clamp_max(MOST_ALPHA)


def _ours(cloud: Gaussians, cameras: list[Tensor], size: tuple[int, int]) -> Tensor:
    return Rasterizer("torch", near=NEAR)(cloud, cameras[0], cameras[1], size, background=0.0).feature


def _step(draw: Callable[[Gaussians], Tensor], cloud: Gaussians) -> tuple[Tensor, ...]:
    """The picture, and the gradients of all that decides it, from one forward and backward pass."""
    leaves = [getattr(cloud, f.name).detach().requires_grad_() for f in fields(Gaussians)]
    picture = draw(Gaussians(*leaves))
    return picture.detach(), *torch.autograd.grad(picture.square().mean(), leaves)


def _measured(
    name: str, pictures: int, candidates: Mapping[str, Step], goals: dict[str, float], rounds: int, hardware: Hardware
) -> Result:
    answers = {key: call() for key, call in candidates.items()}
    return Result(
        name=f"{name}, training",
        unit="pictures",
        units=pictures,
        timings=interleaved(candidates, rounds, hardware.device),
        goals=goals,
        difference=largest(
            float((one - other).abs().max() / other.abs().max())
            for found in answers.values()
            for one, other in zip(found, answers["published"], strict=True)
        ),
        tolerance=1e-3,
        limits={},
    )
