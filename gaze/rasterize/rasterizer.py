"""Draws Gaussians, by gsplat where there is a CUDA device and gsplat, or else by ours."""

from __future__ import annotations

import logging
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.heatmaps import check_mode
from gaze.rasterize import gsplat_backend, torch_backend
from gaze.rasterize.gaussians import Gaussians
from gaze.rasterize.memory import explained_memory
from gaze.rasterize.rendered import Rendered

logger = logging.getLogger(__name__)

Backend = Literal["auto", "torch", "gsplat"]


class Rasterizer(nn.Module):
    """What cameras see of Gaussians: features, how much they cover, and how far they are.

    It computes in float32 whatever autocast says; given float64, in float64 (by ours). Both backends have the same limits:
    0.3 px² of blur, alpha from 1/255 to 0.999, nothing behind where less than 1e-4 of the light comes through.

    A Gaussian whose mean, quaternion, scale or opacity is not finite turns the picture of its sample to NaN, seen or not: so
    the loss shows it, and `trainer.on_nonfinite` decides, without a look at the device in each step.

    Args:
        backend: ``gsplat`` (CUDA; `pip install 'gaze[gsplat]'`), ``torch`` (any device), or ``auto``: gsplat where it works.
        near: least z in the camera, units of the world.
        antialiased: Gaussians smaller than a pixel get fainter instead of larger (Mip-Splatting, Yu et al. 2024).

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, backend: str = "auto", near: float = 0.01, antialiased: bool = False) -> None:
        super().__init__()
        check_mode(backend, Backend, "rasterize.backend")
        if near <= 0:
            raise ValueError(f"rasterize.near is {near}; expected more than 0, in units of the world")
        self.backend, self.near, self.antialiased = backend, near, antialiased
        self.chosen: str | None = None

    def forward(
        self,
        gaussians: Gaussians,
        world_to_camera: Float[Tensor, "b 4 4"],
        camera: Float[Tensor, "b 3 3"],
        size: tuple[int, int],
        background: float = 1.0,
    ) -> Rendered:
        """Pictures of this height and width in px, over a background of one value in all channels.

        Args:
            camera: matrices in px, the corner of the first pixel at (0, 0); their skew is ignored.

        Raises:
            UserError: gsplat is asked for and does not work here, or memory does not suffice.
        """
        double = gaussians.mean.dtype == torch.float64
        dtype = torch.float64 if double else torch.float32
        backend = torch_backend if self._choose(gaussians.mean, double) == "torch" else gsplat_backend
        with torch.autocast(gaussians.mean.device.type, enabled=False), explained_memory():
            cloud = gaussians.map(lambda t: t.to(dtype))
            rendered = backend.rasterize(
                cloud, world_to_camera.to(dtype), camera.to(dtype), size, self.near, self.antialiased
            )
            rest = background * (1 - rendered.alpha) + poison(cloud)[:, None, None]
            return Rendered(rendered.feature + rest[:, None], rendered.alpha, rendered.depth)

    def extra_repr(self) -> str:
        return f"{self.backend}, near {self.near:g}{', antialiased' if self.antialiased else ''}"

    def _choose(self, tensor: Tensor, double: bool) -> str:
        """The backend for this device, said when it changes."""
        if self.backend == "torch":
            return "torch"
        reason = "the tensors are not on a CUDA device" if not tensor.is_cuda else gsplat_backend.missing()
        if reason is None and double:
            reason = "gsplat computes in float32 only, and was given float64"
        if reason is not None and self.backend == "gsplat":
            raise UserError(
                f"rasterize.backend is gsplat, but {reason}; use a CUDA device and pip install 'gaze[gsplat]', or set "
                "rasterize.backend=torch"
            )
        if self.chosen is None:
            level = logging.WARNING if tensor.is_cuda and reason else logging.INFO
            logger.log(level, "Gaussians are drawn by %s", f"PyTorch: {reason}" if reason else "gsplat")
            self.chosen = "torch" if reason else "gsplat"
        return "torch" if reason else "gsplat"


@torch.no_grad()
def poison(gaussians: Gaussians) -> Float[Tensor, "b"]:
    """0, or NaN where a Gaussian of the sample is not finite: one that compares as out of sight would go unseen."""
    parts = (gaussians.mean, gaussians.quaternion, gaussians.scale, gaussians.opacity[..., None])
    return sum((0 * part).sum((1, 2)) for part in parts)  # type: ignore[return-value]
