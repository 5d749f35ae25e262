"""Gaussians as a .ply file in the layout of 3D Gaussian splatting (Kerbl et al. 2023), which its viewers read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from gaze.rasterize.gaussians import Gaussians

CONSTANT = 0.28209479177387814  # the spherical harmonic of degree 0, ½ √(1/π)
LEAST = 1e-6  # of scales, and of opacities from 0 and 1: logarithms of less say nothing to a viewer
COLUMNS = [
    *("x", "y", "z", "nx", "ny", "nz"),
    *("f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
]


def write_ply(gaussians: Gaussians, file: str | Path) -> None:
    """Write the Gaussians of one sample, binary little endian, whole or not at all.

    Colours are the first three features, in [0, 1]: the constant of spherical harmonics, (colour - 0.5) / 0.282. Opacities are
    written as logits, scales as logarithms, quaternions (w, x, y, z) of unit length, normals as 0.

    Raises:
        ValueError: there is more than one sample, there are fewer than three features, or values are not finite.
    """
    samples, number, channels = gaussians.feature.shape
    if samples != 1:
        raise ValueError(
            f"{samples} samples to write to {file}; expected 1: a file holds one cloud, so write each alone"
        )
    if channels < 3:
        raise ValueError(f"Gaussians with {channels} features to write to {file}; expected 3 or more, RGB first")
    feature, opacity = (t.detach()[0].double().cpu() for t in (gaussians.feature, gaussians.opacity))
    mean, scale, quaternion = (
        t.detach()[0].double().cpu() for t in (gaussians.mean, gaussians.scale, gaussians.quaternion)
    )
    columns = torch.cat(
        [
            mean,
            torch.zeros_like(mean),
            (feature[:, :3] - 0.5) / CONSTANT,
            opacity.clamp(LEAST, 1 - LEAST).logit()[:, None],
            scale.clamp_min(LEAST).log(),
            torch.nn.functional.normalize(quaternion, dim=-1),
        ],
        1,
    )
    bad = int((~columns.isfinite()).any(1).sum())
    if bad:
        raise ValueError(f"{bad} of {number} Gaussians to write to {file} are not finite; is the run a diverged one?")
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {number}"]
    header += [f"property float {name}" for name in COLUMNS] + ["end_header", ""]
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.writing")
    aside.write_bytes("\n".join(header).encode("ascii") + columns.numpy().astype(np.dtype("<f4")).tobytes())
    os.replace(aside, file)
