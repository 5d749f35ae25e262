"""Ellipsoids: skulls, hair, eyes with pupils, arms, balls."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float32, Float64
from torch import Tensor

from gaze.synthesis.camera import Camera
from gaze.synthesis.lights import brightness
from gaze.synthesis.primitives import Primitive, coverage, finish, over, plane, uniform


@dataclass(frozen=True)
class Ellipsoids(Primitive):
    """Shaded ellipsoids with painted caps; each may be cut by a plane or sit on a host that hides it.

    The centre is projected exactly; across one ellipsoid rays count as parallel to the ray through its
    centre, an error of the second order in size / distance. In its unit ball the visible surface at
    offset (x, y) px from the centre is ``x * across + y * down - sqrt(q) * view`` with
    ``q = 1 - (xx x² + 2 xy x y + yy y²)``; q = 0 is the outline.
    """

    x: Float64[Tensor, "m"]  # px, centre
    y: Float64[Tensor, "m"]
    z: Float64[Tensor, "m"]  # depth of the centre
    across: Float64[Tensor, "m 3"]  # unit-ball offset per px
    down: Float64[Tensor, "m 3"]
    view: Float64[Tensor, "m 3"]  # unit vector away from the camera, in the unit ball
    tilt: Float64[Tensor, "m 3"]  # depth of the surface: z + tilt · (x, y, -sqrt(q))
    light: Float64[Tensor, "m 3"]  # unit vector towards the light, in the unit ball
    ambient: Float64[Tensor, "m"]
    color: Float64[Tensor, "m 3"]
    cap_axis: Float64[Tensor, "m k 3"]  # unit vectors in the unit ball
    cap_edge: Float64[Tensor, "m k"]  # a cap is where the cosine with its axis is above this; 2 for none
    cap_color: Float64[Tensor, "m k 3"]
    cut: Float64[Tensor, "m 4"] | None = None  # only what has surface · cut[:3] > cut[3] is there
    host: Ellipsoids | None = None  # hides what lies behind its surface

    def quadratic(self) -> tuple[Float64[Tensor, "m"], Float64[Tensor, "m"], Float64[Tensor, "m"]]:
        """xx, xy and yy of the outline."""
        dot = "m i, m i -> m"
        return (
            einsum(self.across, self.across, dot),
            einsum(self.across, self.down, dot),
            einsum(self.down, self.down, dot),
        )

    def bounds(self) -> Float64[Tensor, "m 4"]:
        xx, xy, yy = self.quadratic()
        area = xx * yy - xy**2
        half_width, half_height = (yy / area).sqrt() + 1, (xx / area).sqrt() + 1
        return torch.stack([self.x - half_width, self.y - half_height, self.x + half_width, self.y + half_height], -1)

    def inside(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m 1 w"], Float32[Tensor, "m h 1"], Float32[Tensor, "m h w"]]:
        """Offsets from the centre in px, and q."""
        dx, dy = (x - self.x[:, None, None]).float(), (y - self.y[:, None, None]).float()
        xx, xy, yy = plane(*self.quadratic())
        return dx, dy, (1.0 - xx * dx * dx - yy * dy * dy) - (2.0 * xy * dx) * dy

    def surface_depth(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m h w"], Float32[Tensor, "m h w"]]:
        """q, and the depth of the visible surface where q > 0."""
        dx, dy, q = self.inside(x, y)
        z, tx, ty, tz = plane(self.z, *self.tilt.unbind(-1))
        return q, (z + tx * dx + ty * dy) - q.clamp_min(0.0).sqrt() * tz

    def shade(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m 3 h w"], Float32[Tensor, "m 1 h w"]]:
        dx, dy, q = self.inside(x, y)
        xx, xy, yy = self.quadratic()
        sharpness = 1.5 / (xx * yy - xy**2) ** 0.25  # px per unit of cosine, about
        # At the outline q falls by 2 per radius; the mean radius makes long ends softer than flat sides.
        (steepness,) = plane(sharpness / 3.0)
        alpha = coverage(q * steepness)
        root = q.clamp_min(0.0).sqrt_()

        def along(axis: Float64[Tensor, "m 3"]) -> Float32[Tensor, "m h w"]:
            dot = "m i, m i -> m"
            a, b, c = plane(einsum(self.across, axis, dot), einsum(self.down, axis, dot), einsum(self.view, axis, dot))
            return (a * dx + b * dy) - root * c

        def ramp(value: Float32[Tensor, "m h w"], edge: Float64[Tensor, "m"]) -> Float32[Tensor, "m h w"]:
            sharp, start = plane(sharpness, edge)
            return coverage((value - start) * sharp)

        if self.cut is not None:
            alpha = alpha * ramp(along(self.cut[:, :3]), self.cut[:, 3])
        if self.host is not None:
            alpha = alpha * self._unhidden(x, y, dx, dy, root)
        color = uniform(self.color)
        for axis, edge, paint in zip(
            *(c.unbind(1) for c in (self.cap_axis, self.cap_edge, self.cap_color)), strict=True
        ):
            color = over(color, paint, ramp(along(axis), edge))
        light = brightness(along(self.light), *plane(self.ambient))
        return finish(color, light, alpha)

    def _unhidden(self, x: Tensor, y: Tensor, dx: Tensor, dy: Tensor, root: Tensor) -> Float32[Tensor, "m h w"]:
        assert self.host is not None
        q, behind = self.host.surface_depth(x, y)
        z, tx, ty, tz = plane(self.z, *self.tilt.unbind(-1))
        ahead = behind - ((z + tx * dx + ty * dy) - root * tz)
        (softness,) = plane(0.04 * self.host.tilt[:, 2])
        return torch.where(q > 0, coverage(ahead / softness), 1.0)


def ellipsoids(
    camera: Camera,
    center: Float64[Tensor, "m 3"],
    axes: Float64[Tensor, "m 3"],
    rotation: Float64[Tensor, "m 3 3"],
    toward_light: Float64[Tensor, "m 3"],
    ambient: Float64[Tensor, "m"],
    color: Float64[Tensor, "m 3"],
    scene: Tensor,
    depth: Tensor,
    layer: Tensor,
    caps: tuple[Float64[Tensor, "m k 3"], Float64[Tensor, "m k"], Float64[Tensor, "m k 3"]] | None = None,
    cut: Float64[Tensor, "m 4"] | None = None,
    host: Ellipsoids | None = None,
) -> Ellipsoids:
    """Ellipsoids from 3D: centre and half axes in head radii, rotation from their frame to the camera's.

    Caps are (axes in the ellipsoid's own frame, cosines of their edges, colours).
    """
    to_ball = rotation.transpose(1, 2) / axes[:, :, None]
    x, y, z = center.unbind(-1)
    ray = einsum(to_ball, center / z[:, None], "m i j, m j -> m i")  # per unit of depth
    length = ray.norm(dim=-1)
    view = ray / length[:, None]
    per_px = z / camera.focal
    steps = to_ball[:, :, :2] * per_px[:, None, None]
    toward = einsum(steps, view, "m i j, m i -> m j")
    across, down = (steps - view[:, :, None] * toward[:, None, :]).unbind(-1)
    lit = einsum(to_ball, toward_light, "m i j, m j -> m i")
    if caps is None:
        caps = (center.new_zeros(len(z), 0, 3), center.new_zeros(len(z), 0), center.new_zeros(len(z), 0, 3))
    return Ellipsoids(
        scene=scene,
        depth=depth,
        layer=layer,
        x=camera.center + camera.focal * x / z,
        y=camera.rows(scene) + camera.focal * y / z,
        z=z,
        across=across,
        down=down,
        view=view,
        tilt=torch.cat([-toward / length[:, None], 1 / length[:, None]], -1),
        light=lit / lit.norm(dim=-1, keepdim=True),
        ambient=ambient,
        color=color,
        cap_axis=caps[0],
        cap_edge=caps[1],
        cap_color=caps[2],
        cut=cut,
        host=host,
    )
