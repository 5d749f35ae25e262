"""Checks of labels: right ones pass all, and each mistake is found by the check that is about it, and named."""

import math

import pytest
import torch

from gaze.audit.checks import (
    check_agreement,
    check_all,
    check_heads,
    check_lengths,
    check_medians,
    check_side,
    check_units,
)
from gaze.audit.evidence import evidence_of
from gaze.audit.reference import Seen, check_axes, check_mirror
from gaze.audit.verdicts import DOUBT, FITS, UNKNOWN, WRONG
from gaze.datasets.direction_labels import DirectionLabels
from gaze.gaze_frames import ANTIPODE, GAZE360, PITCH_YAW, YAW_PITCH, AngleFrame, VectorFrame, mirrored
from gaze.geometry import pitch_yaw_to_vector
from tests.audit.faces import evidence, people

GAZE, HEAD = people()
UP = VectorFrame(signs=(1, -1, 1))
SWAPPED = VectorFrame((1, 0, 2))


def test_right_labels_pass_all_checks():
    verdicts = check_all(evidence(vectors=GAZE, angles=YAW_PITCH.stored(GAZE)))
    assert [v.status for v in verdicts] == [FITS] * 6, [str(v) for v in verdicts]
    assert all(v.check in str(v) and v.found in str(v) for v in verdicts)


def test_lengths():
    assert check_lengths(evidence(gaze=torch.cat([GAZE, torch.full((1, 3), math.nan)]))).status == WRONG
    assert check_lengths(evidence(gaze=torch.cat([GAZE, torch.zeros(1, 3)]))).figures["no_direction"] > 0
    off = check_lengths(evidence(gaze=600 * GAZE))
    assert (off.status, off.figures["not_unit"]) == (DOUBT, 1)


@pytest.mark.parametrize(
    ("stored", "do"),
    [
        (AngleFrame(True, degrees=True).stored(GAZE), "degrees"),
        (PITCH_YAW.stored(pitch_yaw_to_vector(torch.tensor([[0.1, 2.5]] * 60))), "swap pitch and yaw"),
    ],
)
def test_units(stored, do):
    found = check_units(evidence(angles=stored))
    assert found.status == WRONG
    assert do in found.do
    assert check_units(evidence(head=HEAD.rad2deg())).status == WRONG


@pytest.mark.parametrize(
    ("vectors", "angles", "do"),
    [
        (GAZE, PITCH_YAW.stored(GAZE), "angles are (pitch, yaw) in radians"),
        (GAZE, AngleFrame(True, (1, -1)).stored(GAZE), "angles are (-yaw, pitch) in radians"),
        (GAZE, AngleFrame(True, degrees=True).stored(GAZE), "angles are (yaw, pitch) in degrees"),
        (GAZE360.stored(GAZE), YAW_PITCH.stored(GAZE), "vectors are (-x, -y, z)"),
        (ANTIPODE.stored(GAZE), YAW_PITCH.stored(GAZE), "vectors are (-x, -y, -z)"),
        (GAZE.roll(1, 0), YAW_PITCH.stored(GAZE), "look at the rows"),
    ],
)
def test_two_labels_that_disagree_and_what_would_make_them_agree(vectors, angles, do):
    found = check_agreement(evidence(vectors=vectors, angles=angles))
    assert found.status == WRONG
    assert do in found.do
    assert found.figures["mean_deg"] > 1


def test_sides():
    assert check_side(evidence(gaze=-GAZE)).status == WRONG
    some = torch.cat([GAZE, -GAZE[:10]])
    assert check_side(evidence("mpiifacegaze", some)).status == WRONG
    assert check_side(evidence("gaze360", some)).status == FITS


@pytest.mark.parametrize(
    ("gaze", "do"),
    [
        (mirrored(GAZE), "yaw of one of them has the wrong sign"),
        (UP.gaze(GAZE), "pitch of one of them has the wrong sign"),
        (GAZE360.stored(GAZE), "pitch and yaw of one"),
        (SWAPPED.gaze(GAZE), "swap pitch and yaw"),
    ],
)
def test_eyes_that_do_not_follow_heads(gaze, do):
    found = check_heads(evidence(gaze=gaze))
    assert found.status == WRONG
    assert do in found.do


def test_heads_that_say_nothing():
    assert check_heads(evidence(head=torch.full_like(HEAD, math.nan))).status == UNKNOWN
    assert check_heads(evidence(head=torch.zeros_like(HEAD))).status == UNKNOWN
    assert check_heads(evidence(head=HEAD.roll(1, 0))).status == DOUBT


def test_medians():
    assert check_medians(evidence(gaze=UP.gaze(GAZE))).status == WRONG  # laptops are below their cameras
    level = pitch_yaw_to_vector(HEAD - HEAD.median(0).values)
    assert check_medians(evidence(gaze=level)).status == DOUBT
    assert check_medians(evidence("gaze360", gaze=UP.gaze(GAZE))).status == FITS
    assert check_medians(evidence("gaze360", gaze=SWAPPED.gaze(GAZE))).status == DOUBT


@pytest.mark.parametrize(
    ("labels", "status", "do"),
    [
        (GAZE, FITS, ""),
        (mirrored(GAZE), WRONG, "mirrored"),
        (GAZE360.stored(GAZE), WRONG, "Gaze360"),
        (-GAZE, WRONG, "antipodes"),
        (SWAPPED.stored(GAZE), WRONG, "pitch and yaw are swapped"),
        (VectorFrame((2, 0, 1), (1, -1, 1)).stored(GAZE), WRONG, "read them as (z, -x, y)"),
        (torch.tensor([0.0, 0, -1]).double().expand_as(GAZE), DOUBT, "take a better one"),
    ],
)
def test_axes_against_what_a_model_sees(labels, status, do):
    draws = torch.Generator().manual_seed(3)
    found = check_axes(labels, GAZE + 0.03 * torch.randn(GAZE.shape, generator=draws).double())
    assert found.status == status, found
    assert do in found.do


def test_a_model_must_turn_with_the_picture():
    assert check_mirror(Seen(GAZE, mirrored(GAZE))).status == FITS
    assert check_mirror(Seen(GAZE, GAZE)).status == WRONG
    assert check_mirror(Seen(GAZE, GAZE.roll(1, 0))).status == DOUBT
    assert check_mirror(Seen(GAZE[:5], GAZE[:5])).status == UNKNOWN


def test_each_data_set_of_a_split_is_judged_as_its_kind():
    none = torch.zeros(60, dtype=torch.long)
    labels = DirectionLabels(
        gaze=GAZE.float(),
        head=HEAD.float(),
        subject=none,
        subjects=("a/1",),
        dataset=torch.arange(60) % 2,
        datasets=("gaze360", "mpiifacegaze", "empty"),
        session=none - 1,
        frame=none - 1,
        detected=none == 0,
    )
    other, laptop = evidence_of(labels)
    assert (other.kind.frontal, laptop.kind.frontal, len(other), len(laptop)) == (False, True, 30, 30)
    torch.testing.assert_close(laptop.gaze.float(), GAZE[1::2].float())
