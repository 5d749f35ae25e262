"""The uniform Laplacian of meshes."""

import torch

from gaze.avatars.smoothness import roughness
from gaze.avatars.tetrahedra import marched, tetrahedra


def slow(points, triangles):
    around = [set() for _ in points]
    for triangle in triangles.tolist():
        for a in triangle:
            around[a] |= set(triangle) - {a}
    apart = [points[sorted(near)].mean(0) - points[i] for i, near in enumerate(around)]
    return torch.stack(apart).square().sum(1).mean()


def test_it_is_what_neighbours_say_one_by_one():
    grid = tetrahedra(4, (-1.0,) * 3, (1.0,) * 3)
    surface = marched(grid.points, grid.points.norm(dim=1) - 0.8, grid.points, grid.corners)
    two = torch.stack([surface.points, 2 * surface.points])
    own = slow(surface.points, surface.triangles)
    assert torch.allclose(roughness(two[:1], surface.triangles), own, atol=1e-7)
    assert torch.allclose(roughness(two, surface.triangles), (own + 4 * own) / 2, atol=1e-6)


def test_moving_a_mesh_does_not_make_it_rough():
    points = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]])
    triangles = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    assert torch.allclose(roughness(points, triangles), roughness(points + 5, triangles), atol=1e-6)
    assert roughness(torch.zeros_like(points), triangles) == 0
