"""Gaussians as ellipses in the picture: EWA splatting (Zwicker et al. 2001) as in 3D Gaussian splatting (Kerbl et al. 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.rasterize.gaussians import Gaussians
from gaze.rotations import quaternion_to_matrix
from gaze.types import Record

BLUR = 0.3  # px², added to the covariance in the picture: no Gaussian falls between pixels
LEAST_ALPHA = 1 / 255  # what covers a pixel less is not drawn on it
MARGIN = 0.3  # of half a picture: means farther outside have the Jacobian of the margin's edge


@dataclass(frozen=True)
class Splats(Record):
    """The k Gaussians that may be seen, of all samples one behind the other; each as an ellipse of one picture.

    A pixel at p is covered by opacity · exp(-½ (p - mean)ᵀ Σ⁻¹ (p - mean)).
    """

    shape: Float[Tensor, "k 6"]  # mean x, y in px; Σ⁻¹ as xx, xy, yy in 1/px²; log opacity
    depth: Float[Tensor, "k"]  # z in the camera
    reach: Float[Tensor, "k 2"]  # half the width and height in px of where it covers at least `LEAST_ALPHA`
    sample: Int[Tensor, "k"]
    row: Int[Tensor, "k"]  # of the Gaussians of all samples, one behind the other


def project(
    gaussians: Gaussians,
    world_to_camera: Float[Tensor, "b 4 4"],
    camera: Float[Tensor, "b 3 3"],
    size: tuple[int, int],
    near: float,
    antialiased: bool,
) -> Splats:
    """The Gaussians that reach into the pictures, in their order.

    Args:
        camera: matrices in px; their skew is ignored, as by gsplat.
        size: height, width in px.
        near: least z.
        antialiased: take from the opacity what `BLUR` adds to the area (Mip-Splatting, Yu et al. 2024, eq. 11).
    """
    turn = world_to_camera[:, :3, :3]
    x, y, z = (gaussians.mean @ turn.mT + world_to_camera[:, None, :3, 3]).unbind(-1)
    ahead = z > near
    z = torch.where(ahead, z, 1.0)  # what is behind is left out below, and must not divide by zero before
    right, down = x / z, y / z
    axes = (
        torch.einsum("bij,bgjk->bgik", turn, quaternion_to_matrix(gaussians.quaternion)) * gaussians.scale[:, :, None]
    )
    fx, fy, cx, cy = (camera[:, i, j, None] for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
    across = _tangent(axes, right, cx, fx, size[1], 0) * (fx / z)[..., None]
    along = _tangent(axes, down, cy, fy, size[0], 1) * (fy / z)[..., None]
    xx, xy, yy = (across * across).sum(-1), (across * along).sum(-1), (along * along).sum(-1)
    sharp = xx * yy - xy * xy
    xx, yy = xx + BLUR, yy + BLUR
    det = xx * yy - xy * xy
    opacity = gaussians.opacity
    if antialiased:
        opacity = opacity * (sharp / det).clamp_min(1e-10).sqrt()
    conic = torch.stack([yy / det, -xy / det, xx / det], -1)
    mean = torch.stack([right * fx + cx, down * fy + cy], -1)
    log_opacity = opacity.clamp_min(LEAST_ALPHA).log()
    with torch.no_grad():
        # a little more than it is: rounding must not cut off a pixel
        extent = (2 * (log_opacity + math.log(1 / LEAST_ALPHA))).clamp_min(0).sqrt() * 1.0001
        reach = extent[..., None] * torch.stack([xx, yy], -1).sqrt() + 1e-3
        limit = torch.tensor([size[1], size[0]], dtype=mean.dtype, device=mean.device)
        inside = ((mean + reach > 0.5) & (mean - reach < limit - 0.5)).all(-1)
        row = (ahead & inside & (opacity >= LEAST_ALPHA)).flatten().nonzero()[:, 0]
    shape = torch.cat([mean, conic, log_opacity[..., None]], -1)
    return Splats(
        shape=shape.flatten(0, 1).index_select(0, row),
        depth=z.flatten().index_select(0, row),
        reach=reach.flatten(0, 1).index_select(0, row),
        sample=row // max(z.shape[1], 1),
        row=row,
    )


def _tangent(
    axes: Float[Tensor, "b g 3 3"],
    slope: Float[Tensor, "b g"],
    centre: Float[Tensor, "b 1"],
    focal: Float[Tensor, "b 1"],
    pixels: int,
    side: int,
) -> Float[Tensor, "b g 3"]:
    """How the axes of the Gaussians move along one side of the picture plane at z = 1, times z."""
    margin = MARGIN * pixels / 2
    slope = slope.clamp(-(centre + margin) / focal, (pixels - centre + margin) / focal)
    return axes[:, :, side] - slope[..., None] * axes[:, :, 2]
