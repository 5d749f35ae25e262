"""Spreads of directions: every head that says one says standard deviations, of which a figure means the same."""

import math

import pytest
import torch

from gaze.directions.figures import figures
from gaze.directions.rows import rows_of
from gaze.geometry import pitch_yaw_to_vector
from gaze.heads.direction_hetero import DirectionHeteroHead
from gaze.heads.direction_pinball import DirectionPinballHead
from gaze.losses.direction_likelihood import HeteroNLL, Pinball
from gaze.spreads import half_width, of_angles, on_sphere
from gaze.types import Batch, DirectionInputs, DirectionTargets, Progress

SIGMA, PITCH = 0.1, 0.9  # radians; of a pitch at which a spread of yaw is not one on the sphere
NOW = Progress(0, 1, 1)


def fitted(head, loss, level, tried):
    """What a head says with the biases of its layer for spreads that are best for normal errors about one gaze."""
    draws = torch.Generator().manual_seed(0)
    gaze = pitch_yaw_to_vector(torch.tensor([PITCH, 0.2]) + SIGMA * torch.randn(4000, 2, generator=draws))
    batch = Batch(DirectionInputs(torch.zeros(4000, 3, 1, 1)), DirectionTargets(gaze), torch.arange(4000))
    where, spread = head.children()
    for parameter in head.parameters():
        parameter.data.zero_()
    where.bias.data.copy_(torch.tensor(level))

    def value(number, bias):
        spread.bias.data[number] = bias
        return float(loss(head(torch.zeros(4000, 2)), batch, NOW))

    with torch.no_grad():
        for number in range(len(spread.bias)):
            best = min(tried.tolist(), key=lambda bias: value(number, bias))
            value(number, best)
        return head(torch.zeros(4000, 2)), batch.targets


@pytest.mark.parametrize("name", ["pinball", "hetero"])
def test_every_head_says_standard_deviations_and_its_intervals_cover_alike(name):
    gaze = pitch_yaw_to_vector(torch.tensor([PITCH, 0.2])).tolist()
    if name == "pinball":
        angles = (math.atanh(PITCH / (math.pi / 2)), math.atanh(0.2 / math.pi))
        found, targets = fitted(DirectionPinballHead(2), Pinball(), angles, torch.linspace(-4, -2, 30))
    else:
        found, targets = fitted(DirectionHeteroHead(2), HeteroNLL(), gaze, torch.linspace(-6.5, -4, 30))
    torch.testing.assert_close(found.spread[0], torch.tensor([SIGMA, SIGMA]), rtol=0.06, atol=0)
    told = figures(rows_of(found, targets))
    assert told["interval_coverage_pitch"] == pytest.approx(0.8, abs=0.03)
    assert told["interval_coverage_yaw"] == pytest.approx(0.8, abs=0.03)


def test_the_pinball_head_s_interval_is_gaze360_s():
    head = DirectionPinballHead(2)
    spread = head(torch.randn(3, 2, generator=torch.Generator().manual_seed(1))).spread
    raw = head.sigma(torch.randn(3, 2, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(half_width(0.8) * spread[:, :1], math.pi * raw.sigmoid())


def test_deviations_on_the_sphere_are_finite_at_its_poles_and_come_back():
    gaze = torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -2.0], [0.6, -0.8, 0.0]])
    spread = torch.full((3, 2), 0.1)
    found = on_sphere(spread, gaze)
    torch.testing.assert_close(found[1:], torch.tensor([[0.1, 0.1], [0.1, 0.06]]))
    torch.testing.assert_close(of_angles(found, gaze), spread)
    assert of_angles(spread, torch.zeros(3, 3)).isfinite().all()
