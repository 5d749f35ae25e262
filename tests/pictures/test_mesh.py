"""Meshes as shaded pictures."""

import pytest
import torch

from gaze.avatars.tetrahedra import marched, tetrahedra
from gaze.pictures import mesh as module
from gaze.pictures.mesh import draw_mesh


def covered(picture):
    return (picture != picture[0, 0, 0]).any(0)


def test_a_sphere_is_a_disc_lit_from_above():
    grid = tetrahedra(12, (-1.0,) * 3, (1.0,) * 3)
    sphere = marched(grid.points, grid.points.norm(dim=1) - 0.8, grid.points, grid.corners)
    picture = draw_mesh(sphere.points, sphere.triangles, 64)
    assert covered(picture).float().mean() == pytest.approx(torch.pi * 0.45**2, rel=0.05)
    assert picture[:, 20].float().mean() > picture[:, 44].float().mean()


SQUARE = torch.tensor([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])


def test_the_nearer_triangle_is_seen_and_backs_are_not():
    tilted = SQUARE * 0.5 @ torch.tensor([[0.8, 0.0, -0.6], [0.0, 1.0, 0.0], [0.6, 0.0, 0.8]]) + torch.tensor(
        [0, 0, 1.0]
    )
    points = torch.cat([SQUARE, tilted])
    front = torch.tensor([[0, 1, 2], [0, 2, 3]])
    alone = draw_mesh(SQUARE, front, 32)
    assert not covered(draw_mesh(SQUARE, front.flip(1), 32)).any()
    for order in (torch.cat([front, front + 4]), torch.cat([front + 4, front])):
        both = draw_mesh(points, order, 32)
        assert (both[:, 16, 16] != alone[:, 16, 16]).any()  # another slope, another shade


def test_pieces_make_the_whole(monkeypatch):
    front = torch.tensor([[0, 1, 2], [0, 2, 3]])
    whole = draw_mesh(SQUARE, front, 32)
    monkeypatch.setattr(module, "AT_ONCE", 1)
    assert torch.equal(draw_mesh(SQUARE, front, 32), whole)


def test_a_turn_to_the_right_shows_what_was_on_the_left():
    left = torch.tensor([[-1.0, -1.0, -1.0], [-1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]])  # it faces -x
    triangle = torch.tensor([[0, 1, 2]])
    assert covered(draw_mesh(left, triangle, 32, yaw_deg=60.0)).any()
    assert not covered(draw_mesh(left, triangle, 32, yaw_deg=-60.0)).any()
