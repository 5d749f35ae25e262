"""What only some predictions allow to be said: choices among gaze prompts, and courses of videos."""

import math

import pytest
import torch

from gaze.directions.figures import figures
from gaze.directions.sectors import sectors, true_sectors
from gaze.geometry import pitch_yaw_to_vector
from tests.directions.some_rows import rows

COMPASS = torch.arange(8) * math.pi / 4  # e, ne, n, nw, ... in the picture, counter-clockwise
WAY = [(0, -40), (20, -20), (40, 0), (0, 40), (-30, 0), (0.3, 0.3)]  # right, up right, up, left, down, ahead; degrees


def test_the_right_prompt_is_the_sector_of_the_gaze_and_nobody_s_of_who_looks_ahead():
    gaze = pitch_yaw_to_vector(torch.tensor(WAY, dtype=torch.float64).deg2rad())
    assert true_sectors(gaze, COMPASS).nan_to_num(-1).tolist() == [0, 1, 2, 4, 6, -1]
    with_centre = torch.cat([COMPASS, torch.tensor([torch.nan])])
    assert true_sectors(gaze, with_centre).tolist() == [0, 1, 2, 4, 6, 8]
    assert true_sectors(-gaze[5:], with_centre).isnan().all()  # away from the camera
    # Prompts of a second bank are those of the first, and logits that failed are no choice
    logits = torch.nn.functional.one_hot(torch.tensor([8, 9, 3, 4, 6, 0]), 16).double()
    logits[4] = torch.nan
    chosen, true = sectors(gaze, logits, COMPASS.repeat(2)).T
    assert chosen.nan_to_num(-1).tolist() == [0, 1, 3, 4, -1, -1]
    found = figures(rows(gaze[:4], gaze[:4], sector=torch.stack([chosen, true], 1)[:4]))
    assert found["class_accuracy"] == 0.75
    assert found["class_chance"] == pytest.approx(3 / 16)
    assert math.isnan(figures(rows(gaze, gaze, sector=torch.stack([chosen, true], 1)))["class_accuracy"])


def course(frames):
    """A smooth course of gaze at these moments."""
    return pitch_yaw_to_vector(torch.stack([0.2 * (frames / 9).cos(), 0.5 * (frames / 7).sin()], 1))


def test_predictions_that_follow_late_lag_and_those_that_tremble_have_jitter():
    frames = torch.arange(60, dtype=torch.float64)
    moment = torch.stack([torch.ones(60).double(), 10 * frames], 1)  # each tenth frame
    truth = course(frames)
    late = figures(rows(course(frames - 2), truth, moment=moment))
    assert late["lag_frames"] == pytest.approx(20, abs=1)
    assert late["jitter_deg_per_frame"] == pytest.approx(0, abs=0.02)
    trembling = pitch_yaw_to_vector(torch.stack([0.1 * (-1.0) ** frames, frames * 0], 1)) - truth.new_tensor(
        [0, 0, -1.0]
    )
    found = figures(rows(truth + trembling, truth, moment=moment))
    assert found["lag_frames"] == pytest.approx(0, abs=1)
    assert 0.5 < found["jitter_deg_per_frame"] < math.degrees(0.2) / 10
    # Frames that a camera lost are no reason to stop
    kept = rows(course(frames - 2), truth, moment=moment).at(torch.arange(60) % 7 > 0)
    assert figures(kept)["lag_frames"] == pytest.approx(20, abs=1)
    # In any order, and of two people whose recordings have one number
    order = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    both = rows(
        torch.cat([course(frames - 2), truth])[order],
        truth.repeat(2, 1)[order],
        moment=moment.repeat(2, 1)[order],
        subject=torch.arange(2).repeat_interleave(60)[order],
    )
    assert figures(both)["lag_frames"] == pytest.approx(10, abs=1)


def test_photographs_still_predictions_and_failures_have_no_course():
    frames = torch.arange(40, dtype=torch.float64)
    moment = torch.stack([torch.zeros(40).double(), frames], 1)
    draws = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    photographs = pitch_yaw_to_vector(draws * 0.3)
    assert "jitter_deg_per_frame" not in figures(rows(photographs, photographs, moment=moment))
    truth = course(frames)
    still = figures(rows(truth[:1].expand(40, 3), truth, moment=moment))
    assert "lag_frames" not in still
    assert still["jitter_deg_per_frame"] < 0
    gone = moment.clone()
    gone[:, 1] += 100 * (frames // 10)  # no stretch is long enough
    assert "jitter_deg_per_frame" not in figures(rows(truth, truth, moment=gone))
    failed = truth.clone()
    failed[3] = torch.nan
    found = figures(rows(failed, truth, moment=moment))
    assert math.isnan(found["jitter_deg_per_frame"])
    assert math.isnan(found["lag_frames"])
