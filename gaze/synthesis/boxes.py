"""Upright boxes: objects, pictures on the wall."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from gaze.synthesis.camera import Camera
from gaze.synthesis.lights import brightness
from gaze.synthesis.poses import moved, upright
from gaze.synthesis.primitives import Primitive, coverage, finish, over, uniform

FAR = -1.0e6  # px: nowhere near
# Corners by their signs in the box's own frame, and the faces by corners in order, with their outward normals.
CORNERS = [[sx, sy, sz] for sx in (-1.0, 1.0) for sy in (-1.0, 1.0) for sz in (-1.0, 1.0)]
FACES = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]
NORMALS = [[-1.0, 0, 0], [1.0, 0, 0], [0, -1.0, 0], [0, 1.0, 0], [0, 0, -1.0], [0, 0, 1.0]]


@dataclass(frozen=True)
class Boxes(Primitive):
    """The up to three visible faces of each box, as quadrilaterals in the image; exact perspective."""

    corners: Float64[Tensor, "m 3 4 2"]  # px
    edges: Float64[Tensor, "m 3 4 3"]  # signed distance x e[0] + y e[1] + e[2] in px, positive inside
    color: Float64[Tensor, "m 3 3"]  # of each face, lit

    def bounds(self) -> Float64[Tensor, "m 4"]:
        points = self.corners.flatten(1, 2)
        return torch.cat([points.amin(1) - 1.5, points.amax(1) + 1.5], -1)

    def shade(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m 3 h w"], Float32[Tensor, "m 1 h w"]]:
        first = self._distance(x, y, 0)
        union = first
        color = uniform(self.color[:, 0])
        for face in (1, 2):
            distance = self._distance(x, y, face)
            union = torch.maximum(union, distance)
            color = over(color, self.color[:, face], coverage(distance))
        # Half a pixel wider, or the background would shine through the seam between two faces.
        return finish(color, 1.0, coverage(union + 0.5))

    def _distance(self, x: Tensor, y: Tensor, face: int) -> Float32[Tensor, "m h w"]:
        sides = []
        for a, b, c in (e.unbind(1) for e in self.edges[:, face].unbind(1)):
            # In float64 until offsets are small: the constant is hundreds of px.
            sides.append((a[:, None, None] * x).float() + (b[:, None, None] * y + c[:, None, None]).float())
        return torch.minimum(torch.minimum(sides[0], sides[1]), torch.minimum(sides[2], sides[3]))


def boxes(
    camera: Camera,
    center: Float64[Tensor, "m 3"],
    half: Float64[Tensor, "m 3"],
    yaw: Float64[Tensor, "m"],
    toward_light: Float64[Tensor, "m 3"],
    ambient: Float64[Tensor, "m"],
    color: Float64[Tensor, "m 3"],
    scene: Tensor,
    depth: Tensor,
    layer: Tensor,
) -> Boxes:
    """Boxes from 3D: centre and half sizes in head radii, turned by `yaw` around the vertical."""
    turn = upright(yaw)[:, None]
    corners = moved(center[:, None], turn, half[:, None] * half.new_tensor(CORNERS))
    normals = moved(torch.zeros_like(center)[:, None], turn, half.new_tensor(NORMALS))
    faces = corners[:, torch.tensor(FACES)]  # m 6 4 3
    toward_camera = -(normals * faces.mean(2)).sum(-1)
    facing, chosen = toward_camera.sort(dim=1, descending=True, stable=True)
    facing, chosen = facing[:, :3], chosen[:, :3]
    row = torch.arange(len(center))[:, None]
    points = faces[row, chosen]
    x = camera.center + camera.focal * points[..., 0] / points[..., 2]
    y = camera.rows(scene)[:, None, None] + camera.focal * points[..., 1] / points[..., 2]
    lit = brightness((normals[row, chosen] * toward_light[:, None]).sum(-1), ambient[:, None])
    quads = torch.stack([x, y], -1)
    return Boxes(
        scene=scene,
        depth=depth,
        layer=layer,
        corners=quads,
        edges=_edges(quads, facing > 0),
        color=color[:, None] * lit[..., None],
    )


def _edges(quads: Float64[Tensor, "m f 4 2"], visible: Tensor) -> Float64[Tensor, "m f 4 3"]:
    """The lines of each quadrilateral's sides; of a face that looks away, lines nobody is inside of."""
    following = quads.roll(-1, dims=2)
    step = following - quads
    length = step.norm(dim=-1).clamp_min(1e-9)
    nx, ny = -step[..., 1] / length, step[..., 0] / length
    offset = -(nx * quads[..., 0] + ny * quads[..., 1])
    middle = quads.mean(2, keepdim=True)
    sign = (nx * middle[..., 0] + ny * middle[..., 1] + offset).sign()
    lines = torch.stack([nx * sign, ny * sign, offset * sign], -1)
    nowhere = lines.new_tensor([0.0, 0.0, FAR])
    return torch.where(visible[..., None, None], lines, nowhere)
