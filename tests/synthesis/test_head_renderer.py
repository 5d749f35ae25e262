from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from gaze.head_frames import to_world
from gaze.synthesis.head_anatomy import CENTRE_Y, CENTRE_Z, anatomy_of
from gaze.synthesis.head_landmarks import landmarks_of
from gaze.synthesis.head_renderer import render_heads
from tests.synthesis.some_heads import posed, some_heads

SIZE = 48


def centroid(weight):
    """(x, y) in px of a plane."""
    place = torch.arange(len(weight)) + 0.5
    weight = weight.double()
    return torch.stack([(weight.sum(0) * place).sum(), (weight.sum(1) * place).sum()]) / weight.sum()


def iris(pictures, side):
    """Where the dark part of an eye is."""
    mask = getattr(pictures, f"{side}_eye_mask")[0]
    return centroid((200 - pictures.image[0].float().mean(0)).clamp_min(0) * mask)


def projected(heads, points):
    world = to_world(points, heads.pose, heads.scale)
    seen = world @ heads.world_to_camera[:, :3, :3].mT + heads.world_to_camera[:, None, :3, 3]
    pixel = seen @ heads.camera.mT
    return pixel[..., :2] / pixel[..., 2:]


@pytest.mark.parametrize(
    ("gaze", "axis", "sign"), [((0.3, 0.0), 1, -1), ((-0.3, 0.0), 1, 1), ((0.0, 0.5), 0, -1), ((0.0, -0.5), 0, 1)]
)
def test_irises_move_where_the_gaze_goes(gaze, axis, sign):
    ahead, moved = render_heads(some_heads(), SIZE), render_heads(some_heads(gaze=[gaze]), SIZE)
    for side in ("left", "right"):
        step = iris(moved, side) - iris(ahead, side)
        assert sign * step[axis] > 0.3
        assert step[1 - axis].abs() < 0.3


# Eyes are above the middle of a head, so that a roll moves them to the left
@pytest.mark.parametrize(("turn", "axis", "sign"), [((0, 0.5, 0), 0, 1), ((0.4, 0, 0), 1, 1), ((0, 0, 0.5), 0, -1)])
def test_heads_turn_right_down_and_counterclockwise(turn, axis, sign):
    step = centroid_of_eyes(some_heads(pose=posed(*turn))) - centroid_of_eyes(some_heads())
    assert sign * step[axis] > 0.5


def centroid_of_eyes(heads):
    pictures = render_heads(heads, SIZE)
    return centroid((pictures.left_eye_mask | pictures.right_eye_mask)[0])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_masks_of_eyes_lie_between_the_landmarks_of_their_lids(seed):
    heads = some_heads(seed=seed)
    heads = replace(heads, pose=0.5 * heads.pose)
    pictures = render_heads(heads, SIZE)
    points = projected(heads, landmarks_of(anatomy_of(heads.identity, heads.expression)))[0]
    for side, first in (("left", 36), ("right", 42)):
        mask = getattr(pictures, f"{side}_eye_mask")[0]
        assert (centroid(mask) - points[first : first + 6].mean(0)).norm() < 1.2
        assert not (mask & ~pictures.head_mask[0]).any()
    assert not (pictures.left_eye_mask & pictures.right_eye_mask).any()


def test_the_mask_of_a_head_is_the_projected_skull():
    heads = some_heads(4, size=96, seed=5)
    heads = replace(heads, pose=heads.pose * 0.2)  # nothing sticks out
    axes = anatomy_of(heads.identity, heads.expression).axes
    # The dual quadric of an ellipsoid projects to the dual conic of its outline (Hartley & Zisserman, 2004, eq. 8.5).
    ball = torch.eye(4).double().repeat(4, 1, 1)
    ball[:, :3, :3] = torch.diag_embed(axes)
    ball[:, :3, 3] = axes.new_tensor([0, CENTRE_Y, CENTRE_Z])
    quadric = ball @ torch.diag(axes.new_tensor([1, 1, 1, -1])) @ ball.mT
    corners = torch.cat([torch.eye(3), torch.zeros(1, 3)]).double()
    moved = to_world(corners[None], heads.pose, heads.scale)
    pose = torch.eye(4).double().repeat(4, 1, 1)
    pose[:, :3, 3] = moved[:, 3]
    pose[:, :3, :3] = (moved[:, :3] - moved[:, 3:]).mT
    view = heads.camera @ (heads.world_to_camera @ pose)[:, :3]
    conic = torch.linalg.inv(view @ quadric @ view.mT)
    place = torch.arange(96).double() + 0.5
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    pixel = torch.stack([columns, rows, torch.ones_like(rows)], -1)
    value = torch.einsum("hwi,bij,hwj->bhw", pixel, conic, pixel) * conic.det().sign()[:, None, None]
    sign = value[:, :1, :1].sign()  # of the outside
    inside = value * sign < 0
    mask = render_heads(heads, 96).head_mask
    grown, shrunk = (max_pool2d((inside == what).float(), 3, 1, 1) > 0 for what in (True, False))
    assert not (mask & ~grown).any()
    assert not (~mask & ~shrunk).any()
    assert mask.sum().item() == pytest.approx(inside.sum().item(), rel=0.01)


def test_an_eye_behind_the_nose_or_the_head_is_not_seen():
    pictures = render_heads(some_heads(pose=posed(0, 1.35, 0)), SIZE)
    assert pictures.left_eye_mask.any()
    assert not pictures.right_eye_mask.any()


def test_a_shifted_principal_point_shifts_the_picture():
    heads = some_heads(seed=2, pose=posed(0.1, 0.2, 0))
    camera = heads.camera.clone()
    camera[:, 0, 2] += 2
    camera[:, 1, 2] -= 1
    moved = render_heads(replace(heads, camera=camera), SIZE).image
    expected = render_heads(heads, SIZE).image.roll((-1, 2), (-2, -1))
    difference = (moved.int() - expected.int()).abs()[..., :-2, 3:]
    assert (difference > 2).float().mean() < 0.01  # rays at edges may round to the other side


def test_a_larger_head_further_away_looks_the_same():
    heads = some_heads(3, seed=4)
    far = heads.world_to_camera.clone()
    far[:, :3, 3] *= 2
    pose = torch.cat([heads.pose[:, :3], 2 * heads.pose[:, 3:]], 1)
    large = render_heads(replace(heads, scale=2 * heads.scale, world_to_camera=far, pose=pose), SIZE)
    assert ((large.image.int() - render_heads(heads, SIZE).image.int()).abs() > 2).float().mean() < 0.005


def test_heads_do_not_know_of_each_other(monkeypatch):
    heads = some_heads(5, seed=6)
    together = render_heads(heads, SIZE)
    monkeypatch.setattr("gaze.synthesis.head_renderer.CHUNK_RAYS", 1)
    alone = render_heads(heads, SIZE)
    assert torch.equal(together.head_mask, alone.head_mask)
    assert (together.image.int() - alone.image.int()).abs().max() <= 1


def test_what_is_behind_a_head_is_where_its_mask_is_not():
    heads = some_heads(2, seed=7)
    wall = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]).repeat(2, 1, 1)
    white, colourful = render_heads(heads, SIZE), render_heads(heads, SIZE, background=wall)
    assert torch.equal(white.head_mask, colourful.head_mask)
    assert (colourful.image[:, :, 0, 0].int() - torch.tensor([255, 0, 0])).abs().max() <= 2
    assert (colourful.image[:, :, -1, 0].int() - torch.tensor([0, 0, 255])).abs().max() <= 2
    same = (white.image == colourful.image).all(1)
    assert (same & ~white.head_mask).sum() == 0
    assert (same & white.head_mask).sum() > 0.9 * white.head_mask.sum()
