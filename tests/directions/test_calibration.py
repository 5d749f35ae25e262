"""Personal calibration of directions: what it undoes, and what few samples can't tell."""

import math

import pytest
import torch

from gaze.calibration.dots import CalibrationError
from gaze.calibration.methods import FeatureRidge, PolynomialFit
from gaze.directions.calibration import corrected, direction_curve, fit
from gaze.geometry import angular_error, pitch_yaw_to_vector
from tests.directions.some_rows import rows

OFFSET, AFFINE = PolynomialFit([0.0]), PolynomialFit([0.0, 0.0, 0.0], needs=3)
METHODS = {"offset": OFFSET, "affine": AFFINE, "ridge_feat": FeatureRidge(1.0)}


def angles(n, seed=0, noise=0.0, about=0.0):
    draws = torch.Generator().manual_seed(seed)
    true = torch.randn(n, 2, generator=draws, dtype=torch.float64) * 0.2 + torch.tensor([0.0, about])
    return true, noise * torch.randn(n, 2, generator=draws, dtype=torch.float64)


def test_an_offset_and_an_affine_map_are_undone_also_across_the_seam():
    true, _ = angles(30, about=math.pi)  # who look away, to both sides of a yaw of 180 degrees
    truth, shifted = pitch_yaw_to_vector(true), pitch_yaw_to_vector(true + torch.tensor([0.05, -0.1]))
    assert angular_error(corrected(shifted, fit(OFFSET, shifted[:1], truth[:1])), truth).max() < 1e-6
    true, _ = angles(30)
    truth, bent = pitch_yaw_to_vector(true), pitch_yaw_to_vector(true @ torch.tensor([[0.8, 0.1], [0.0, 1.2]]).double())
    assert angular_error(corrected(3 * bent, fit(AFFINE, bent[:9], truth[:9])), truth).max() < 1e-6
    up = pitch_yaw_to_vector(torch.tensor([[1.5, 0.0]]))
    assert corrected(up, fit(OFFSET, shifted[:1], shifted[:1])).isfinite().all()


def test_more_samples_help_and_people_without_enough_do_not_count():
    people, gaze, truth = [], [], []
    for person, count in enumerate((40, 40, 8)):
        true, noise = angles(count, seed=person, noise=0.02)
        shift = torch.tensor([0.1, -0.05]) * (1 - person)  # nothing to calibrate for the second
        people += [person] * count
        truth.append(true)
        gaze.append(true + shift + noise)
    some = rows(*(pitch_yaw_to_vector(torch.cat(part)) for part in (gaze, truth)), subject=torch.tensor(people))
    found = direction_curve(some, METHODS, (1, 5, 20), draws=4).to_pylist()
    row = {(each["method"], each["samples"]): each for each in found}
    assert set(row) == {(name, n) for name in ("none", "offset") for n in (1, 5, 20)} | {("affine", 5), ("affine", 20)}
    assert [row["offset", n]["people"] for n in (1, 5, 20)] == [3, 3, 2]
    before, one, twenty = row["none", 20]["error_deg"], row["offset", 1]["error_deg"], row["offset", 20]["error_deg"]
    assert twenty < one < row["none", 1]["error_deg"]
    assert twenty == pytest.approx(math.degrees(0.02) * math.sqrt(math.pi / 2), rel=0.2)  # what is left is noise
    assert row["offset", 20]["before_deg"] == before
    assert row["offset", 1]["worse"] == pytest.approx(1 / 3)  # one sample is more noise than help for the second
    assert found == direction_curve(some, METHODS, (1, 5, 20), draws=4).to_pylist()


def test_what_cannot_be_calibrated_is_said():
    some = rows(*(pitch_yaw_to_vector(torch.zeros(3, 2)),) * 2)
    with pytest.raises(CalibrationError, match="nobody has 5 samples"):
        direction_curve(some, METHODS, (5, 9))
    with pytest.raises(CalibrationError, match="ridge_feat read more than predicted directions"):
        direction_curve(some, {"ridge_feat": FeatureRidge(1.0)}, (1,))
