"""Surfaces of known fields: closed, of the right size, facing outwards, with gradients; and tetrahedra in eight."""

from math import pi

import pytest
import torch

from gaze.avatars.tetrahedra import marched, subdivided, tetrahedra

CUBE = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))


def volumes(points, corners):
    a, b, c, d = points[corners].unbind(1)
    return torch.linalg.det(torch.stack([b - a, c - a, d - a], 1)) / 6


def normals(surface):
    """Twice the area of each triangle, along its outward normal."""
    a, b, c = surface.points[surface.triangles].unbind(1)
    return torch.linalg.cross(b - a, c - a)


def sphere(resolution, radius=0.7):
    grid = tetrahedra(resolution, *CUBE)
    return marched(grid.points, grid.points.norm(dim=1) - radius, grid.points, grid.corners)


def half_edges(triangles):
    return torch.cat([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])


def test_a_box_is_filled_without_gaps_or_overlaps():
    grid = tetrahedra(3, (-1.6, -1.7, -2.5), (1.6, 1.8, 1.0))
    assert (len(grid.points), len(grid.corners)) == (4**3, 6 * 3**3)
    inside = volumes(grid.points, grid.corners)
    assert inside.min() > 0
    assert inside.sum() == pytest.approx(3.2 * 3.5 * 3.5, rel=1e-5)
    with pytest.raises(ValueError, match="0 cells a side has no tetrahedron"):
        tetrahedra(0)


def test_a_tetrahedron_in_eight_keeps_its_volume_and_its_side():
    grid = tetrahedra(2, *CUBE)
    finer = subdivided(grid)
    assert len(finer.corners) == 8 * len(grid.corners)
    assert torch.allclose(
        volumes(finer.points, finer.corners).reshape(-1, 8),
        volumes(grid.points, grid.corners)[:, None].expand(-1, 8) / 8,
    )
    assert torch.equal(finer.points[: len(grid.points)], grid.points)
    # As many corners as a grid of twice the resolution has: middles are shared.
    assert len(finer.points) == len(tetrahedra(4, *CUBE).points)


def test_a_sphere_has_its_area():
    assert normals(sphere(24)).norm(dim=1).sum() / 2 == pytest.approx(4 * pi * 0.7**2, rel=0.02)


@pytest.mark.parametrize("finer", [False, True])
def test_a_surface_is_closed_and_faces_outwards(finer):
    grid = tetrahedra(5, *CUBE)
    grid = subdivided(grid) if finer else grid
    generator = torch.Generator().manual_seed(3)
    field = grid.points.norm(dim=1) - 0.7 + 0.3 * torch.randn(len(grid.points), generator=generator)
    field = torch.where(grid.points.abs().amax(1) > 0.99, 1.0, field)  # nothing touches the border
    surface = marched(grid.points, field, grid.points, grid.corners)
    edges = half_edges(surface.triangles)
    keys = edges[:, 0] * len(surface.points) + edges[:, 1]
    back = edges[:, 1] * len(surface.points) + edges[:, 0]
    # Each edge twice, once in each direction: closed, and all triangles of one mind about where outside is.
    assert len(keys.unique()) == len(keys)
    assert torch.equal(keys.sort().values, back.sort().values)
    assert len(surface.triangles.unique()) == len(surface.points)
    plain = sphere(9)
    middle = plain.points[plain.triangles].mean(1)
    assert ((normals(plain) * middle).sum(1) >= 0).all()


def test_a_plane_is_exact_and_features_lie_where_points_do():
    grid = tetrahedra(3, *CUBE)
    surface = marched(grid.points, grid.points @ torch.tensor([1.0, 2.0, 0.5]) - 0.13, grid.points, grid.corners)
    assert torch.allclose(surface.points @ torch.tensor([1.0, 2.0, 0.5]), torch.tensor(0.13), atol=1e-6)
    assert torch.allclose(surface.feature, surface.points, atol=1e-6)


def test_gradients_are_finite_however_small_the_field_is():
    grid = tetrahedra(4, *CUBE)
    tiny = (1e-20 * (grid.points.norm(dim=1) - 0.7)).requires_grad_()
    surface = marched(grid.points, tiny, grid.points, grid.corners)
    surface.points.square().sum().backward()
    assert surface.points.isfinite().all()
    assert tiny.grad.isfinite().all()


def test_the_surface_follows_the_field():
    grid = tetrahedra(8, *CUBE)
    radius = torch.tensor(0.7, requires_grad=True)
    surface = marched(grid.points, grid.points.norm(dim=1) - radius, grid.points, grid.corners)
    surface.points.norm(dim=1).mean().backward()
    assert radius.grad == pytest.approx(1.0, abs=0.2)  # vertices stay on their edges, which are longer


def test_no_surface_is_no_points():
    grid = tetrahedra(2, *CUBE)
    surface = marched(grid.points, torch.ones(len(grid.points)), grid.points, grid.corners)
    assert surface.points.shape == (0, 3)
    assert surface.triangles.shape == (0, 3)
