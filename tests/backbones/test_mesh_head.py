"""The mesh head: its size, one surface for all samples, what follows what, and what stage 2 reads from it."""

from dataclasses import replace
from itertools import islice

import pytest
import torch

from gaze.avatars.encoding import encoded
from gaze.avatars.eyeballs import eye_centres
from gaze.avatars.tetrahedra import Tetrahedra, marched, subdivided
from gaze.backbones.mesh_head import REACH, MeshHead
from gaze.errors import UserError
from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.eye_rotations.learned_origin import LearnedOriginRotation
from tests.avatars.heads import face_inputs, small_mesh_head


@pytest.fixture
def head():
    return small_mesh_head()


def test_the_published_size():
    head = MeshHead(LearnedOriginRotation(), resolution=1)
    count = sum(p.numel() for p in head.parameters()) - head.landmarks.numel()
    assert count == pytest.approx(0.99e6, rel=0.01)


def test_a_head_for_each_sample(head):
    inputs = face_inputs(2)
    mesh = head(inputs)
    vertices = mesh.points.shape[1]
    assert mesh.points.shape == (2, vertices, 3)
    assert mesh.colours.shape == (2, vertices, head.features)
    assert mesh.landmarks.shape == (2, 52, 3)
    assert int(mesh.triangles.max()) == vertices - 1
    # Each alone is what it is beside others.
    alone = head(inputs.map(lambda t: t[1:]))
    assert torch.allclose(alone.points[0], mesh.points[1], atol=1e-6)
    assert torch.allclose(alone.colours[0], mesh.colours[1], atol=1e-6)


def test_the_surface_is_made_once_for_all_samples(head):
    asked = []
    head.geometry.register_forward_hook(lambda module, inputs, output: asked.append(inputs[0].shape[:2]))
    head(face_inputs(3))
    assert asked == [(1, len(head.landmarks)), (1, len(head.grid_points))] or asked == [
        (1, len(head.grid_points)),
        (1, len(head.landmarks)),
    ]


def test_every_weight_gets_a_finite_gradient(head):
    mesh = head(face_inputs(2))
    scalars = mesh.deformation + mesh.surface_distance + mesh.roughness
    (mesh.points.square().mean() + mesh.colours.mean() + mesh.landmarks.square().mean() + scalars).backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert head.landmarks.grad.abs().sum() > 0


def test_gaze_moves_eyes_alone(head):
    inputs = face_inputs(1)
    ahead, aside = (head(replace(inputs, gaze=torch.tensor([gaze]))).points[0] for gaze in ([0.0, 0.0], [0.0, 0.4]))
    moved = (ahead - aside).norm(dim=1) > 1e-6
    centres = eye_centres(head.landmarks, head.eye_radius)
    radii = torch.cdist(head.surface().points, centres).amin(1) / head.eye_radius
    assert moved.any()
    assert not (moved & (radii > 1.81)).any()


def test_codes_move_landmarks_and_no_further_than_they_may(head):
    mesh = head(face_inputs(2))
    apart = mesh.landmarks - head.landmarks
    assert 0 < apart.abs().max() <= 0.3
    assert not torch.allclose(apart[0], apart[1])


def test_stage_two_starts_from_what_stage_one_drew(head):
    neutral = head.neutral_surface()
    surface = head.surface()
    assert torch.allclose(neutral.points, surface.points, atol=1e-5)
    assert torch.equal(neutral.triangles, surface.triangles)
    assert torch.allclose(torch.tanh(neutral.feature), surface.feature, atol=2e-5)
    assert not neutral.points.requires_grad


def test_a_finer_surface_is_that_of_the_whole_box_cut_finer_from_few_points(head):
    asked = []
    head.geometry.register_forward_hook(lambda module, inputs, output: asked.append(inputs[0].shape[1]))
    _, twice, *_ = islice(head.finer_surfaces(), 2)
    few = sum(asked)
    _, _, found = islice(head.finer_surfaces(), 3)
    grid = subdivided(subdivided(Tetrahedra(head.grid_points, head.grid_corners)))
    with torch.no_grad():
        answer = torch.tanh(head.geometry(encoded(grid.points)[None])[0])
    moved = grid.points + torch.tanh(answer[:, 1:4]) / head.resolution
    whole = marched(moved, answer[:, 0], answer[:, 4:], grid.corners)
    assert len(found.points) == len(whole.points)
    assert len(found.triangles) == len(whole.triangles)
    match = torch.cdist(found.points, whole.points, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    assert match.values.max() < 1e-5
    assert len(match.indices.unique()) == len(whole.points)
    assert torch.allclose(found.feature.tanh(), whole.feature[match.indices], atol=1e-4)
    assert few < len(head.grid_points) + 12 * len(twice.points)


def test_in_half_the_digits_the_head_stays_where_it_is(head):
    inputs = face_inputs(2)
    with torch.no_grad():
        exact = head(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            code, seen = torch.cat([inputs.expression, inputs.identity], 1), encoded(head.landmarks)[None]
            rough = REACH * torch.tanh(head.shape_deform(seen, code).float())
            found = head(inputs)
    assert found.points.dtype == torch.float32
    assert torch.equal(found.landmarks, head.landmarks + rough)  # nothing but the network is rounded
    assert torch.equal(found.triangles, exact.triangles)
    assert 0 < (found.points - exact.points).abs().max() < 0.3 * 0.02


def test_what_does_not_fit_is_refused(head):
    rotation = ExplicitRotation(code=12)
    with pytest.raises(ValueError, match=r"region_metric is 'plain'.*squared, euclidean"):
        MeshHead(rotation, region_metric="plain")
    with pytest.raises(ValueError, match="landmarks is 40"):
        MeshHead(rotation, landmarks=40)
    inputs = face_inputs(1)
    with pytest.raises(ValueError, match=r"codes of identity have 7 numbers.*set it to 7"):
        head(replace(inputs, identity=torch.zeros(1, 7)))
    with torch.no_grad():
        head.geometry.layers[-1].bias[0] = 100.0
    with pytest.raises(UserError, match=r"has vanished.*init=sphere"):
        head(inputs)
    with pytest.raises(
        ValueError, match=r"eye_rotation.code is 12.*identity=100 and .*expression=79.*eye_rotation.code=179"
    ):
        MeshHead(rotation, identity=100, expression=79)
