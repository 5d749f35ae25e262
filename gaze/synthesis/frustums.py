"""Upright cylinders and cones, whole or cut off: bodies, stands, threads and objects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from gaze.synthesis.camera import Camera
from gaze.synthesis.lights import brightness
from gaze.synthesis.primitives import Primitive, coverage, finish, over, plane, uniform

BISECTIONS = 20  # of half a turn: 3e-6 rad


@dataclass(frozen=True)
class Frustums(Primitive):
    """Two circles around a vertical axis, and the side between them.

    A circle is drawn as the ellipse that a camera in front of it sees; the axis is projected exactly.
    """

    x: Float64[Tensor, "m"]  # px, column of the axis
    rows: Float64[Tensor, "m 2"]  # px, centres of the lower and upper ellipse
    widths: Float64[Tensor, "m 2"]  # px, half axes across
    heights: Float64[Tensor, "m 2"]  # px, half axes along the column
    tangent: Float64[Tensor, "m 3"]  # the side's outline is |x| tangent[0] + row tangent[1] = tangent[2]
    cap: Float64[Tensor, "m"]  # 1 the upper end is visible, 0 the lower one, -1 neither
    light_side: Float64[Tensor, "m 2"]  # towards the light: across, and towards the camera
    light_cap: Float64[Tensor, "m"]  # cosine of light and visible end
    ambient: Float64[Tensor, "m"]
    color: Float64[Tensor, "m 3"]
    band: Float64[Tensor, "m 2"]  # between these heights, 0 lower to 1 upper end, there is `band_color`
    band_color: Float64[Tensor, "m 3"]

    def bounds(self) -> Float64[Tensor, "m 4"]:
        half = self.widths.amax(1) + 1
        top, bottom = (self.rows - self.heights).amin(1) - 1, (self.rows + self.heights).amax(1) + 1
        return torch.stack([self.x - half, top, self.x + half, bottom], -1)

    def shade(
        self, x: Float64[Tensor, "m 1 w"], y: Float64[Tensor, "m h 1"]
    ) -> tuple[Float32[Tensor, "m 3 h w"], Float32[Tensor, "m 1 h w"]]:
        dx = (x - self.x[:, None, None]).float()
        row, low, high = y.float(), *plane(*self.rows.unbind(1))
        lower, upper = self._rise(dx, 0), self._rise(dx, 1)
        nx, ny, edge = plane(*self.tangent.unbind(1))
        beside = (edge - ny * row) - nx * dx.abs()
        within = torch.minimum((low + lower) - row, row - (high - upper))  # along the column
        alpha = coverage(torch.minimum(beside, within))

        size = (low - high).clamp_min(1e-3)
        share = ((low - row) / size).clamp(0.0, 1.0)  # 0 lower to 1 upper end
        start, stop = plane(*self.widths.unbind(1))
        across = ((1.0 / (start + share * (stop - start)).clamp_min(0.5)) * dx).clamp_(-1.0, 1.0)
        front = (1.0 - across * across).sqrt_()
        lx, lz, ambient, lit_cap, which = plane(*self.light_side.unbind(1), self.ambient, self.light_cap, self.cap)
        light = brightness((across * lx).add_(front * lz), ambient)
        # A band curves as the visible end does.
        from_y, to_y = plane(*self.band.unbind(1))
        height = (low - row) + torch.where(which > 0, lower, -lower)
        in_band = coverage(torch.minimum(height - from_y * size, to_y * size - height))
        color = over(uniform(self.color), self.band_color, in_band).mul_(light[:, None])
        end = torch.where(which > 0, upper - (row - high).abs(), lower - (row - low).abs())
        top_color = self.color * brightness(lit_cap, ambient)[:, 0, 0, None]
        return finish(over(color, top_color, coverage(end) * (which >= 0)), 1.0, alpha)

    def _rise(self, dx: Float32[Tensor, "m 1 w"], end: int) -> Float32[Tensor, "m 1 w"]:
        """How far one end's ellipse reaches above and below its centre in each column, px."""
        width, height = plane(self.widths[:, end], self.heights[:, end])
        share = dx / width
        return (1.0 - share * share).clamp_min(0.0).sqrt() * height


def frustums(
    camera: Camera,
    base: Float64[Tensor, "m 3"],
    height: Float64[Tensor, "m"],
    radii: Float64[Tensor, "m 2"],
    toward_light: Float64[Tensor, "m 3"],
    ambient: Float64[Tensor, "m"],
    color: Float64[Tensor, "m 3"],
    scene: Tensor,
    depth: Tensor,
    layer: Tensor,
    band: Float64[Tensor, "m 2"] | None = None,
    band_color: Float64[Tensor, "m 3"] | None = None,
) -> Frustums:
    """Frustums from 3D: centre of the base, height, and radii of base and top, in head radii."""
    x, y, z = base.unbind(-1)
    radii = radii.clamp_min(1e-3)
    ends = torch.stack([y, y - height], -1)
    scale = camera.focal / z[:, None]
    rows = camera.rows(scene)[:, None] + scale * ends
    widths = scale * radii
    heights = (widths * ends.abs() / z[:, None]).clamp_min(0.05)
    cap = torch.where(ends[:, 1] > 0, 1.0, torch.where(ends[:, 0] < 0, 0.0, -1.0)).to(z)
    up = -toward_light[:, 1]
    return Frustums(
        scene=scene,
        depth=depth,
        layer=layer,
        x=camera.center + camera.focal * x / z,
        rows=rows,
        widths=widths,
        heights=heights,
        tangent=_tangent(rows, widths, heights),
        cap=cap,
        light_side=torch.stack([toward_light[:, 0], -toward_light[:, 2]], -1),
        light_cap=torch.where(cap == 0, -up, up),
        ambient=ambient,
        color=color,
        band=color.new_tensor([2.0, 3.0]).expand(len(z), 2) if band is None else band,
        band_color=color if band_color is None else band_color,
    )


def _tangent(
    rows: Float64[Tensor, "m 2"], widths: Float64[Tensor, "m 2"], heights: Float64[Tensor, "m 2"]
) -> Float64[Tensor, "m 3"]:
    """The common outer tangent on the right, (nx, ny, edge): both ellipses lie where n · p <= edge.

    An ellipse reaches n · centre + sqrt(width² nx² + height² ny²) in direction n; the tangent's normal is
    where both reach equally far, and turning it up favours the upper end, so bisection finds it.
    """
    low = torch.full_like(rows[:, 0], -torch.pi / 2)
    high = torch.full_like(low, torch.pi / 2)
    for _ in range(BISECTIONS):
        angle = (low + high) / 2
        reach = _reach(angle, rows, widths, heights)
        upper_wins = reach[:, 1] > reach[:, 0]
        low = torch.where(upper_wins, angle, low)
        high = torch.where(upper_wins, high, angle)
    angle = (low + high) / 2
    return torch.stack([angle.cos(), angle.sin(), _reach(angle, rows, widths, heights)[:, 0]], -1)


def _reach(angle: Tensor, rows: Tensor, widths: Tensor, heights: Tensor) -> Float64[Tensor, "m 2"]:
    nx, ny = angle.cos()[:, None], angle.sin()[:, None]
    return rows * ny + ((widths * nx) ** 2 + (heights * ny) ** 2).sqrt()
