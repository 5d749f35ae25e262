"""Gaussians drawn by gsplat (Ye et al. 2024), whose CUDA kernels are compiled when they are first used."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.rasterize.gaussians import Gaussians
from gaze.rasterize.projection import BLUR
from gaze.rasterize.rendered import Rendered


@cache
def missing() -> str | None:
    """Why gsplat does not work here, or None. The first call may compile for many minutes."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        from gsplat.cuda._backend import _C
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # of compilers, linkers and loaders there is no common one
        return f"its CUDA extension cannot be built ({str(error).strip().splitlines()[0] if str(error) else error!r})"
    return None if _C is not None else "its CUDA extension cannot be built: there is no CUDA toolkit (nvcc)"


def rasterize(
    gaussians: Gaussians,
    world_to_camera: Float[Tensor, "b 4 4"],
    camera: Float[Tensor, "b 3 3"],
    size: tuple[int, int],
    near: float = 0.01,
    antialiased: bool = False,
) -> Rendered:
    """The pictures of this height and width in px, over black; see `gaze.rasterize.rasterizer.Rasterizer`."""
    from gsplat import rasterization

    drawn, alpha, _ = rasterization(
        means=gaussians.mean,
        quats=gaussians.quaternion,
        scales=gaussians.scale,
        opacities=gaussians.opacity,
        colors=gaussians.feature[:, None],  # one camera for each sample's cloud
        viewmats=world_to_camera[:, None],
        Ks=camera[:, None],
        width=size[1],
        height=size[0],
        near_plane=near,
        eps2d=BLUR,
        channel_chunk=64,  # 32 features and depth in one pass
        packed=False,  # faster where most Gaussians are seen, which those of a head are
        render_mode="RGB+ED",
        rasterize_mode="antialiased" if antialiased else "classic",
    )
    pictures = drawn[:, 0].movedim(-1, 1)
    return Rendered(pictures[:, :-1], alpha[:, 0, :, :, 0], pictures[:, -1])
