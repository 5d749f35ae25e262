"""Heads of directions: what each says, at which precision, and what an untrained one looks at."""

import math

import pytest
import torch

from gaze.geometry import angular_error, vector_to_pitch_yaw
from gaze.heads.direction_l2cs import DirectionL2CSHead
from gaze.heads.direction_vmf import DirectionVMFHead
from gaze.types import DirectionPrediction
from tests import groups

NAMES = [name for name in groups.names("head") if name.startswith("direction_")]


@pytest.mark.parametrize("name", NAMES)
def test_every_head_gives_unit_vectors_in_float32_and_looks_into_the_camera_before_it_has_learnt(name):
    head = groups.build(groups.node("head", name))(6)
    features = torch.randn(5, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        found = head(features)
    assert isinstance(found, DirectionPrediction)
    said = [t for t in (found.gaze, found.concentration, found.spread, found.bins) if t is not None]
    assert {t.dtype for t in said} == {torch.float32}
    assert found.gaze.dtype == torch.float32
    torch.testing.assert_close(found.gaze.norm(dim=-1), torch.ones(5))
    camera = torch.tensor([0.0, 0.0, -1.0]).expand(5, 3)
    assert angular_error(head(torch.zeros(5, 6)).gaze, camera).max() < 1e-4
    sum(t.square().sum() for t in said).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert features.grad.isfinite().all()


def test_a_zero_direction_has_a_finite_gradient():
    head = groups.build(groups.node("head", "direction_plain"))(2)
    head.direction.bias.data.zero_()
    head(torch.zeros(1, 2)).gaze.sum().backward()
    assert head.direction.bias.grad.isfinite().all()


def test_bins_stand_for_their_centres_pitch_first():
    head = DirectionL2CSHead(2, bins=28, bin_deg=3.0)
    head.logits.weight.data.zero_()
    head.logits.bias.data.fill_(-100.0)
    head.logits.bias.data[[20, 28 + 4]] = 100.0  # pitch in the bin of 18 to 21 degrees, yaw in that of -30 to -27
    found = vector_to_pitch_yaw(head(torch.zeros(1, 2)).gaze).rad2deg()
    torch.testing.assert_close(found, torch.tensor([[19.5, -28.5]]))


def test_a_concentration_stays_within_its_limits():
    head = DirectionVMFHead(1, least=0.5, most=100.0)
    head.concentration.weight.data.fill_(1e6)
    head.concentration.bias.data.zero_()
    kappa = head(torch.tensor([[-1.0], [0.0], [1.0]])).concentration
    torch.testing.assert_close(kappa, torch.tensor([0.5, 0.5 + math.log(2), 100.0]))


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("direction_vmf", {"least": 0.0}, "head.least is 0.0"),
        ("direction_hetero", {"least": 4.0}, "expected least < most"),
        ("direction_l2cs", {"bins": 120}, "head.bins is 120 and head.bin_deg 4.0"),
    ],
)
def test_settings_out_of_range_are_refused(name, wrong, message):
    with pytest.raises(Exception, match=message):
        groups.build(groups.node("head", name), **wrong)(4)
