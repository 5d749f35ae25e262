"""How eyes turn: rigidly about their centres, each alone, and not at all at the start when gaze is ahead."""

import pytest
import torch

from gaze.eye_rotations.explicit import ExplicitRotation
from gaze.eye_rotations.learned_origin import LearnedOriginRotation
from gaze.eye_rotations.mlp_offset import OffsetField
from gaze.head_frames import gaze_axis
from gaze.rotations import quaternion_to_matrix
from tests import groups

CENTRE = torch.tensor([[-0.34, 0.17, 0.6], [0.34, 0.17, 0.6]])
GAZE = torch.tensor([[0.2, -0.4], [0.0, 0.0], [-0.1, 0.6]])
CODE = torch.zeros(3, 12)


def ball(n=6):
    """Points of both eyes, and the eye of each."""
    generator = torch.Generator().manual_seed(0)
    side = torch.arange(2).repeat_interleave(n)
    return CENTRE[side] + 0.19 * torch.nn.functional.normalize(torch.randn(2 * n, 3, generator=generator), dim=1), side


def trained(module):
    """The module as if it had learned something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


def make(kind):
    torch.manual_seed(0)
    return kind(code=12, width=8) if kind is ExplicitRotation else kind(width=8)


KINDS = [ExplicitRotation, LearnedOriginRotation, OffsetField]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_and_turns_have_unit_length(kind):
    points, side = ball()
    points.requires_grad_()
    module = trained(make(kind))
    turned = module(points, side, CENTRE, GAZE, CODE)
    assert turned.points.shape == (3, len(points), 3)
    assert torch.allclose(turned.quaternion.norm(dim=-1), torch.ones(3, len(points)), atol=1e-5)
    turned.points.square().sum().backward()
    assert points.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_in_half_the_digits_only_what_networks_say_is_rounded(kind):
    points, side = ball()
    for module, most in ((make(kind), 1e-4), (trained(make(kind)), 5e-3)):
        with torch.no_grad():
            exact = module(points, side, CENTRE, GAZE, CODE)
            with torch.autocast("cpu", torch.bfloat16):
                found = module(points, side, CENTRE, GAZE, CODE)
        assert found.points.dtype == found.quaternion.dtype == torch.float32
        assert torch.allclose(found.points, exact.points, atol=most)
        assert torch.allclose(found.quaternion.norm(dim=-1), torch.ones(3, len(points)), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_eye_without_points_does_no_harm(kind):
    points, side = ball()
    module = trained(make(kind))
    turned = module(points[side == 0], side[side == 0], CENTRE, GAZE, CODE)
    turned.points.square().sum().backward()
    assert turned.points.isfinite().all()
    assert all(p.grad.isfinite().all() for p in module.parameters())


def test_at_the_start_eyes_turn_by_the_label_about_their_centres():
    points, side = ball()
    turned = make(ExplicitRotation)(CENTRE + torch.tensor([0.0, 0.0, 0.19]), torch.tensor([0, 1]), CENTRE, GAZE, CODE)
    assert torch.allclose(turned.points - CENTRE, 0.19 * gaze_axis(GAZE)[:, None].expand(-1, 2, -1), atol=1e-6)
    ahead = make(ExplicitRotation)(points, side, CENTRE, torch.zeros(1, 2), CODE[:1])
    assert torch.allclose(ahead.points[0], points, atol=1e-6)


def test_a_turn_is_rigid_and_stays_about_the_shifted_centre():
    points, side = ball()
    module = trained(make(ExplicitRotation))
    turned = module(points, side, CENTRE, GAZE, CODE)
    for eye in (0, 1):
        before = torch.cdist(points[side == eye], points[side == eye])
        after = torch.cdist(turned.points[:, side == eye], turned.points[:, side == eye])
        assert torch.allclose(after, before.expand_as(after), atol=1e-4)
        # x' - c' = R (x - c): the quaternions say what the points do.
        moved = turned.points[:, side == eye]
        turn = quaternion_to_matrix(turned.quaternion[:, side == eye][:, :1])
        from_centre = (points[side == eye] - CENTRE[eye])[None, :, None] @ turn.mT
        centre = moved - from_centre[:, :, 0]
        assert torch.allclose(centre, centre[:, :1].expand_as(centre), atol=1e-5)
        assert (centre - CENTRE[eye]).abs().max() <= module.reach


@pytest.mark.parametrize("kind", [ExplicitRotation, LearnedOriginRotation])
def test_each_eye_turns_alone(kind):
    points, side = ball()
    module = trained(make(kind))
    both = module(points, side, CENTRE, GAZE, CODE)
    other = points.clone()
    other[side == 1] += 0.05
    changed = module(other, side, CENTRE, GAZE, CODE)
    assert torch.allclose(changed.points[:, side == 0], both.points[:, side == 0], atol=1e-6)
    assert not torch.allclose(both.quaternion[0, 0], both.quaternion[0, -1], atol=1e-4)


def test_the_released_way_begins_with_hardly_a_turn():
    points, side = ball()
    turned = make(LearnedOriginRotation)(points, side, CENTRE, GAZE, CODE)
    assert torch.allclose(turned.points, points.expand(3, -1, -1), atol=0.02)


def test_an_offset_field_begins_with_nothing_and_reaches_only_so_far():
    points, side = ball()
    module = make(OffsetField)
    assert torch.allclose(module(points, side, CENTRE, GAZE, CODE).points, points.expand(3, -1, -1))
    assert (trained(module)(points, side, CENTRE, 50 * GAZE, CODE).points - points).abs().max() <= module.reach


@pytest.mark.parametrize("name", groups.names("eye_rotation"))
def test_every_option_is_one_of_these(name):
    assert type(groups.build(groups.node("eye_rotation", name))) in KINDS
