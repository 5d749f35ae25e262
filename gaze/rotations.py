"""Rotations as vectors, quaternions and matrices. Quaternions are (w, x, y, z) and turn points of any frame."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

SMALL = 1e-8  # squared angle, radians²; below it a series is exact to rounding, and has a gradient at zero


def vector_to_quaternion(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of rotation vectors: the axis, as long as the angle in radians."""
    square = vector.square().sum(-1, keepdim=True)
    small = square < SMALL
    half = torch.where(small, 1.0, square).sqrt() / 2
    sine = torch.where(small, 0.5 - square / 48, half.sin() / (2 * half))  # sin(angle / 2) / angle
    cosine = torch.where(small, 1 - square / 8, half.cos())
    return torch.cat([cosine, sine * vector], -1)


def quaternion_to_vector(quaternion: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """Rotation vectors of unit quaternions, angles in [0, pi]."""
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, axis = quaternion[..., :1], quaternion[..., 1:]
    square = axis.square().sum(-1, keepdim=True)
    small = square < SMALL
    sine = torch.where(small, 1.0, square).sqrt()
    near = torch.where(small, w, 1.0)  # at half a turn w is zero, and the branch not taken must not spoil the gradient
    return axis * torch.where(small, 2 / near - 2 * square / (3 * near**3), 2 * torch.atan2(sine, w) / sine)


def quaternion_product(a: Float[Tensor, "*#b 4"], b: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*b 4"]:
    """The rotations that first do `b`, then `a`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def quaternion_to_matrix(quaternion: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of quaternions of any length but zero."""
    w, x, y, z = torch.nn.functional.normalize(quaternion, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def matrix_to_quaternion(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of rotation matrices, from the column of q q^T that rounding harms least (Bar-Itzhack, 2000)."""
    m = matrix
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    w = torch.stack(
        [1 + trace, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1
    )
    outer = torch.eye(3).to(m) * (1 - trace)[..., None, None] + m + m.mT
    rows = torch.cat([w[..., None, :], torch.cat([w[..., 1:, None], outer], -1)], -2)  # 4 q q^T
    best = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None].expand(*rows.shape[:-2], 1, 4)
    return torch.nn.functional.normalize(rows.gather(-2, best)[..., 0, :], dim=-1)


def vector_to_matrix(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of rotation vectors; finite gradients at zero."""
    return quaternion_to_matrix(vector_to_quaternion(vector))
