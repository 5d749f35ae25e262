"""The second stage begins with the head that the first ended with."""

from __future__ import annotations

import logging
from itertools import islice

import pytest
import torch

from gaze.avatars.eyeballs import eye_centres
from gaze.avatars.handover import hand_over
from gaze.avatars.regions import EYES, LEFT_EYE, RIGHT_EYE, eye_points, near_landmarks, regions
from gaze.backbones.gaussian_head import GaussianHead
from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.eye_rotations.mlp_offset import OffsetField
from tests.avatars.heads import face_inputs, small_mesh_head

SIZES = {"identity": 8, "expression": 4, "landmarks": 52, "point_feature": 6, "features": 4, "width": 16}


def gaussian_head(rotation=None, **settings) -> GaussianHead:
    points = {"face_points": 150, "eye_points": 12, "eye_radius": 0.19}
    return GaussianHead(rotation or ExplicitRotation(code=12, width=8), **(SIZES | points | settings))


def distances(a, b):
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")  # products lose half of the digits


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
    *_, surface = islice(mesh.finer_surfaces(), 3)
    eyes = [eye_points(surface.points, mesh.landmarks[eye]) for eye in (LEFT_EYE, RIGHT_EYE)]
    fewest, most = sorted(map(len, eyes))
    others = len(surface.points) - fewest - most
    head = gaussian_head(eye_points=fewest, face_points=others)
    hand_over(mesh, head, spheres=False)
    # Each vertex once: at an eye it is that eye's, or one of those too many; elsewhere it is the face's.
    face = distances(head.face.splats.position, surface.points)
    assert face.amin(1).max() == 0
    used = [face.argmin(1)]
    for side, selected in enumerate(eyes):
        found = distances(head.eyes.splats.position[head.eyes.side == side], surface.points[selected])
        assert found.amin(1).max() == 0
        used.append(selected[found.argmin(1)])
    assert len(torch.cat(used).unique()) == others + 2 * fewest
    with pytest.raises(
        ValueError,
        match=rf"has {fewest} points at an eye.*eye_points={fewest + 1};.*set backbone.eye_points={fewest} or less",
    ):
        hand_over(mesh, gaussian_head(eye_points=fewest + 1), spheres=False)


def test_of_more_vertices_than_an_eye_has_an_even_part_is_taken(mesh):
    head = gaussian_head(eye_points=6, face_points=3000)
    hand_over(mesh, head, spheres=False)
    for side, eye in enumerate((LEFT_EYE, RIGHT_EYE)):
        *_, surface = islice(mesh.finer_surfaces(), 3)
        selected = eye_points(surface.points, mesh.landmarks[eye])
        found = distances(head.eyes.splats.position[head.eyes.side == side], surface.points[selected])
        steps = found.argmin(1).diff()
        assert found.amin(1).max() == 0
        assert steps.max() - steps.min() <= 1


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


def test_eyes_that_turn_otherwise_begin_anew(mesh, caplog):
    rotation = OffsetField(width=8)
    before = {name: tensor.clone() for name, tensor in rotation.state_dict().items()}
    head = gaussian_head(rotation)
    with caplog.at_level(logging.INFO, "gaze.avatars.handover"):
        hand_over(mesh, head)
    assert "what stage 1 knows of turning eyes is not taken over" in caplog.text
    assert all(torch.equal(tensor, before[name]) for name, tensor in head.eyes.rotation.state_dict().items())
    assert torch.equal(head.eyes.eye_colour.layers[0].weight, mesh.eye_colour.layers[0].weight)  # all else goes on


def test_a_coarse_surface_is_cut_finer_until_there_are_points_enough(mesh):
    few = len(mesh.surface().points)
    head = gaussian_head(face_points=2 * few)
    hand_over(mesh, head)
    assert len(head.face.splats.position.unique(dim=0)) == 2 * few
    with pytest.raises(
        ValueError, match=r"points beside the eyes, fewer than backbone.face_points=100000; expected as many"
    ):
        hand_over(mesh, gaussian_head(face_points=100_000))


def test_other_dimensions_are_named(mesh):
    head = gaussian_head(ExplicitRotation(code=13, width=8), identity=9, landmarks=60, eye_radius=0.125)
    with pytest.raises(
        ValueError,
        match=r"identity is 8 in stage 1 and 9 here; backbone.eye_radius is 0.19 in stage 1 and 0.125 here; "
        "backbone.landmarks is 52 in stage 1 and 60",
    ):
        hand_over(mesh, head)
