"""The second stage begins with the head that the first ended with."""

from __future__ import annotations

import pytest
import torch

from gaze.avatars.handover import hand_over
from gaze.avatars.regions import EYES, near_landmarks, regions
from gaze.backbones.gaussian_head import GaussianHead, eye_centres
from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.eye_rotations.mlp_offset import OffsetField
from tests.avatars.heads import face_inputs, small_mesh_head

SIZES = {"identity": 8, "expression": 4, "landmarks": 52, "point_feature": 6, "features": 4, "width": 16}


def gaussian_head(rotation=None, **settings) -> GaussianHead:
    points = {"face_points": 150, "eye_points": 12, "eye_radius": 0.19}
    return GaussianHead(rotation or ExplicitRotation(code=12, width=8), **(SIZES | points | settings))


def distances(a, b):
    return (a[:, None] - b).norm(dim=-1)  # torch.cdist multiplies, and loses half of the digits


@pytest.fixture(scope="module")
def mesh():
    return small_mesh_head().eval().requires_grad_(False)


def test_gaussians_have_the_mesh_s_places_and_colours(mesh):
    head, inputs = gaussian_head(), face_inputs(2)
    hand_over(mesh, head)
    drawn, vertices = head(inputs).face, mesh(inputs)
    neutral = mesh.surface().points
    match = distances(head.face.splats.position, neutral)
    assert match.amin(1).max() < 1e-5  # each is a vertex
    row = match.argmin(1)
    others = torch.cat([mesh.landmarks[: EYES.start], mesh.landmarks[EYES.stop :]])
    parts = regions(neutral, mesh.landmarks)
    # Where eyes have no say: the face's stream has neither their landmarks nor their colour.
    apart = ((parts.eye == 0) & (parts.shape == near_landmarks(neutral, others)))[row]
    assert apart.sum() > 50
    assert torch.allclose(drawn.mean[:, apart], vertices.points[:, row[apart]], atol=1e-4)
    assert torch.allclose(drawn.feature[:, apart], vertices.colours[:, row[apart]], atol=1e-4)


def test_eyes_are_balls_behind_their_lids(mesh):
    head = gaussian_head()
    hand_over(mesh, head)
    points, side = head.eyes.splats.position, head.eyes.side
    centres = eye_centres(head.landmarks, head.eye_radius)
    assert torch.allclose((points - centres[side]).norm(dim=1), torch.full((24,), 0.19), atol=1e-5)
    assert (points[side == 0, 0] < 0).all()
    assert (points[side == 1, 0] > 0).all()


def test_eyes_can_be_vertices_as_published(mesh):
    head = gaussian_head(eye_points=6)
    hand_over(mesh, head, spheres=False)
    assert distances(head.eyes.splats.position, mesh.surface().points).amin(1).max() < 1e-5


def test_networks_are_the_first_stage_s(mesh):
    head = gaussian_head()
    hand_over(mesh, head)
    for own, theirs in (
        (head.face.shape_colour, mesh.shape_colour),
        (head.eyes.eye_colour, mesh.eye_colour),
        (head.eyes.rotation, mesh.eye_rotation),
    ):
        assert all(
            torch.equal(a, b) for a, b in zip(own.state_dict().values(), theirs.state_dict().values(), strict=True)
        )


def test_eyes_that_turn_otherwise_begin_anew(mesh):
    hand_over(mesh, gaussian_head(OffsetField(width=8)))


def test_a_coarse_surface_is_cut_finer_until_there_are_points_enough(mesh):
    few = len(mesh.surface().points)
    head = gaussian_head(face_points=2 * few)
    hand_over(mesh, head)
    assert len(head.face.splats.position.unique(dim=0)) == 2 * few
    with pytest.raises(
        ValueError, match=r"points beside the eyes, fewer than backbone.face_points=100000; expected more"
    ):
        hand_over(mesh, gaussian_head(face_points=100_000))


def test_other_dimensions_are_named(mesh):
    head = gaussian_head(identity=9, landmarks=60)
    with pytest.raises(
        ValueError, match=r"backbone.identity is 8 in stage 1 and 9 here; backbone.landmarks is 52 in stage 1 and 60"
    ):
        hand_over(mesh, head)
