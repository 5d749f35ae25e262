"""The slow reference: one Gaussian after the other on all pixels, in double precision, by autograd; nothing shared with ours."""

from __future__ import annotations

import torch


def turned(quaternion):
    """Rotation matrix of one quaternion of any length."""
    w, x, y, z = (quaternion / quaternion.norm()).unbind()
    rows = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    return torch.stack([torch.stack(row) for row in rows])


def ellipse(mean, quaternion, scale, world_to_camera, camera, size):
    """Centre in px, covariance in px² before the blur, and depth, of one Gaussian; Kerbl et al. 2023, eq. 5."""
    turn, shift = world_to_camera[:3, :3], world_to_camera[:3, 3]
    seen = turn @ mean + shift
    cloud = turned(quaternion)
    covariance = turn @ cloud @ torch.diag(scale**2) @ cloud.T @ turn.T
    fx, fy, cx, cy = camera[0, 0], camera[1, 1], camera[0, 2], camera[1, 2]
    x, y, z = seen
    wide, high = 0.15 * size[1], 0.15 * size[0]
    right = (x / z).clamp(-(cx + wide) / fx, (size[1] - cx + wide) / fx)
    down = (y / z).clamp(-(cy + high) / fy, (size[0] - cy + high) / fy)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([torch.stack([fx / z, zero, -fx * right / z]), torch.stack([zero, fy / z, -fy * down / z])])
    return torch.stack([fx * x / z + cx, fy * y / z + cy]), jacobian @ covariance @ jacobian.T, z


def drawn(gaussians, world_to_camera, camera, size, background=1.0, near=0.01, antialiased=False):
    """Feature [c h w], alpha [h w] and depth [h w] of the first sample."""
    v, u = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    pixels = torch.stack([u, v], -1).double()
    light = torch.ones(size, dtype=torch.float64)
    feature = torch.zeros(gaussians.feature.shape[-1], *size, dtype=torch.float64)
    depth = torch.zeros(size, dtype=torch.float64)
    stopped = torch.zeros(size, dtype=torch.bool)
    distance = (gaussians.mean[0] @ world_to_camera[0, 2, :3] + world_to_camera[0, 2, 3]).tolist()
    for i in sorted(range(len(distance)), key=distance.__getitem__):
        if distance[i] <= near:
            continue
        mean, sharp, z = ellipse(
            gaussians.mean[0, i], gaussians.quaternion[0, i], gaussians.scale[0, i], world_to_camera[0], camera[0], size
        )
        blurred = sharp + 0.3 * torch.eye(2, dtype=torch.float64)
        opacity = gaussians.opacity[0, i]
        if antialiased:
            opacity = opacity * (torch.linalg.det(sharp) / torch.linalg.det(blurred)).sqrt()
        away = pixels - mean
        alpha = opacity * torch.exp(-0.5 * torch.einsum("hwi,ij,hwj->hw", away, torch.linalg.inv(blurred), away))
        alpha = torch.where(alpha < 1 / 255, torch.zeros_like(alpha), alpha.clamp(max=0.999))
        after = light * (1 - alpha)
        stopped = stopped | (after <= 1e-4)
        weight = torch.where(stopped, torch.zeros_like(alpha), alpha * light)
        feature = feature + weight * gaussians.feature[0, i, :, None, None]
        depth = depth + weight * z
        light = torch.where(stopped, light, after)
    covered = 1 - light
    return feature + background * light, covered, depth / covered.clamp(min=1e-10)
