"""Meshes as shaded pictures, without a graphics library."""

from __future__ import annotations

from math import cos, radians, sin

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

LIGHT = (0.3, 0.5, 0.8)  # where it comes from, as seen by the viewer: right, up, towards the viewer
CLAY, PAPER = (0.80, 0.74, 0.68), 0.98
AT_ONCE = 1 << 22  # pixels of triangles in memory


def draw_mesh(
    points: Float[Tensor, "v 3"], triangles: Int[Tensor, "f 3"], height: int, yaw_deg: float = 0.0, zoom: float = 0.9
) -> UInt8[Tensor, "3 height height"]:
    """A mesh in clay, seen along -z of its frame by a camera without perspective, y up.

    Args:
        yaw_deg: the mesh is turned so far to the picture's right first.
        zoom: how much of the picture the mesh may fill.
    """
    points, triangles = points.detach().double().cpu(), triangles.cpu()
    middle = (points.amax(0) + points.amin(0)) / 2
    side = float((points - middle).norm(dim=1).amax().clamp(min=1e-9)) * 2 / zoom
    angle = radians(yaw_deg)
    turn = points.new_tensor([[cos(angle), 0, sin(angle)], [0, 1, 0], [-sin(angle), 0, cos(angle)]])
    seen = (points - middle) @ turn.T
    corners = seen[triangles]
    across = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = across[:, 2] > 0
    corners, across = corners[facing], across[facing]
    light = torch.nn.functional.normalize(points.new_tensor(LIGHT), dim=0)
    shade = 0.35 + 0.65 * (torch.nn.functional.normalize(across, dim=1) @ light).clamp(min=0)
    at = torch.stack([corners[..., 0] / side + 0.5, 0.5 - corners[..., 1] / side], -1) * height
    front = _front(at, corners[..., 2], height)  # -1, where there is nothing, takes the last shade, and then paper
    clay = torch.cat([shade, shade.new_zeros(1)])[front][..., None] * points.new_tensor(CLAY)
    picture = torch.where((front >= 0)[..., None], clay, PAPER)
    return (picture * 255).round().to(torch.uint8).permute(2, 0, 1).contiguous()


def _front(at: Float[Tensor, "f 3 2"], z: Float[Tensor, "f 3"], height: int) -> Int[Tensor, "height height"]:
    """Which triangle each pixel shows, the one with the largest z; -1 where there is none."""
    low = (at.amin(1) - 0.5).ceil().clamp(0, height).long()
    size = ((at.amax(1) - 0.5).floor().long() + 1).clamp(0, height) - low
    count = size.clamp(min=0).prod(1)
    depth = torch.full((height * height,), -torch.inf, dtype=at.dtype)
    front = torch.full((height * height,), -1)
    start = 0
    while start < len(at):  # piece by piece, so that large triangles don't fill the memory
        total = count[start:].cumsum(0)
        end = start + max(1, int((total <= AT_ONCE).sum()))
        owner = torch.repeat_interleave(torch.arange(start, end), count[start:end])
        first = count[start:end].cumsum(0) - count[start:end]
        place = torch.arange(len(owner)) - first[owner - start]
        x = low[owner, 0] + place % size[owner, 0].clamp(min=1)
        y = low[owner, 1] + torch.div(place, size[owner, 0].clamp(min=1), rounding_mode="floor")
        share = _shares(at[owner], torch.stack([x, y], 1) + 0.5)
        inside = (share >= -1e-9).all(1)
        here = (share * z[owner]).sum(1)[inside]
        pixel, owner = (y * height + x)[inside], owner[inside]
        nearest = depth.scatter_reduce(0, pixel, here, "amax")
        mine = here >= nearest[pixel]
        front[pixel[mine]] = owner[mine]
        depth, start = nearest, end
    return front.reshape(height, height)


def _shares(corners: Float[Tensor, "n 3 2"], at: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    """Barycentric coordinates of points; below zero outside of the triangle."""
    a, b, c = (corners - at[:, None]).unbind(1)

    def area(p: Tensor, q: Tensor) -> Tensor:
        return p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]

    parts = torch.stack([area(b, c), area(c, a), area(a, b)], 1)
    whole = parts.sum(1, keepdim=True)
    return torch.where(whole.abs() < 1e-12, -1.0, parts / whole)
