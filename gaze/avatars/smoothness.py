"""How uneven a mesh is."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def roughness(points: Float[Tensor, "b v 3"], triangles: Int[Tensor, "f 3"]) -> Float[Tensor, ""]:
    """Mean square of how far vertices are from the mean of their neighbours (the uniform Laplacian), in b shapes of a mesh.

    Triangles that share an edge run along it in opposite directions, so each neighbour of a vertex is met once.
    """
    start = torch.cat([triangles[:, 0], triangles[:, 1], triangles[:, 2]])
    end = torch.cat([triangles[:, 1], triangles[:, 2], triangles[:, 0]])
    count = torch.zeros(points.shape[1], device=points.device, dtype=points.dtype)
    count = count.index_add(0, start, count.new_ones(len(start)))
    total = torch.zeros_like(points).index_add(1, start, points[:, end])
    apart = total / count.clamp(min=1)[:, None] - points
    return (apart.square().sum(-1) * (count > 0)).mean()
