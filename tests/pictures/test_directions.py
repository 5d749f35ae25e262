"""Arrows lie where the gaze leads, are seen whatever way it leads, and cones cover what they claim."""

import math

import pytest
import torch

from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.pictures.canvas import Canvas
from gaze.pictures.directions import GUESS, cone_reach, draw_direction


def drawn(gaze, cone_rad=None, origin=(50.0, 50.0), length=40.0):
    canvas = Canvas(torch.full((3, 100, 100), 128, dtype=torch.uint8))
    draw_direction(canvas, origin, torch.tensor(gaze), length, cone_rad=cone_rad)
    return canvas.pixels


def painted(pixels):
    """Which pixels are in the arrow's colour."""
    return (pixels.float() - torch.tensor(GUESS)[:, None, None]).abs().amax(0) < 40


def test_an_arrow_leads_to_where_people_look():
    left = pitch_yaw_to_vector(torch.tensor([0.0, math.pi / 4])).tolist()
    columns, rows = painted(drawn(left)).any(0).nonzero(), painted(drawn(left)).any(1).nonzero()
    assert columns.min() == pytest.approx(50 - 40 * math.sqrt(0.5), abs=1.5)  # positive yaw: the picture's left
    assert columns.max() < 53
    assert abs(rows.float().mean() - 50) < 1
    up = painted(drawn(pitch_yaw_to_vector(torch.tensor([1.2, 0.0])).tolist())).any(1).nonzero()
    assert up.min() == pytest.approx(50 - 40 * math.sin(1.2), abs=1.5)


def test_gaze_along_the_axis_is_seen_and_its_sense_too():
    toward, away = painted(drawn((0.0, 0.0, -1.0))), painted(drawn((0.0, 0.0, 3.0)))
    assert toward.sum() > 30
    assert away.sum() > 30
    assert not torch.equal(toward, away)
    assert toward[50, 50]
    assert not toward[47, 53]  # a dot within a ring, or a cross
    assert away[46:49, 52:55].any()
    whole, dashed = ((drawn((-0.6, 0.0, z)) != 128).sum() for z in (-0.8, 0.8))
    assert dashed < whole


def test_a_cone_covers_the_arrows_of_its_directions_and_no_others():
    draws = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(20000, 3, generator=draws).double(), dim=-1)
    for pitch, yaw, half in ((0.1, 0.2, 0.5), (-0.4, 1.2, 0.4), (0.0, 1.5, 0.3), (0.3, 2.9, 0.6), (0.2, 0.5, 2.0)):
        gaze = pitch_yaw_to_vector(torch.tensor([pitch, yaw], dtype=torch.float64))
        near = vectors[angular_error(vectors, gaze.expand_as(vectors)) < half]
        reach = cone_reach(tuple(gaze.tolist()), half, torch.atan2(near[:, 1], near[:, 0]))
        length = near[:, :2].norm(dim=-1)
        assert (length <= reach + 1e-9).all()
        best = torch.zeros(36).double()  # the furthest of those drawn, in each of 36 sectors
        sector = ((torch.atan2(near[:, 1], near[:, 0]) + math.pi) / (2 * math.pi) * 36).long().clamp(0, 35)
        best.scatter_reduce_(0, sector, length / reach.clamp(min=1e-9), "amax")
        assert (best[sector.unique()] > 0.75).double().mean() > 0.9
    assert cone_reach((1.0, 0.0, 0.0), 0.1, torch.tensor([1.5, 0.0, math.pi])).tolist() == [0, 1, 0]


def test_cones_shade_and_leave_the_rest():
    plain, shaded = drawn((0.6, 0.0, -0.8)), drawn((0.6, 0.0, -0.8), cone_rad=0.3)
    changed = (plain != shaded).any(0)
    assert changed[55, 70]
    assert not changed[:, :48].any()
    wide = (drawn((0.0, 0.0, -1.0), cone_rad=0.5) != 128).any(0)
    assert wide.sum() == pytest.approx(math.pi * (40 * math.sin(0.5)) ** 2, rel=0.1)  # the circle of all its arrows


def test_arrows_may_leave_the_picture_and_begin_outside():
    assert drawn((1.0, 0.0, -0.2), 0.4, origin=(95.0, 5.0)).shape == (3, 100, 100)
    assert (drawn((1.0, 0.0, 0.0), 0.4, origin=(300.0, 5.0)) == 128).all()
