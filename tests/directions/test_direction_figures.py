"""Figures of directions: known answers, what they do not depend on, and what nobody knows."""

import math

import pytest
import torch

from gaze.concentration import quantile
from gaze.directions.certainty import certainty_measures
from gaze.directions.figures import figures, measures
from gaze.geometry import angular_error, pitch_yaw_to_vector
from gaze.metrics.angular_error import AngularError
from gaze.types import DirectionPrediction, DirectionTargets
from tests.directions.some_rows import calibrated, rows


def degrees(*angles):
    return pitch_yaw_to_vector(torch.tensor(angles, dtype=torch.float64).deg2rad())


def test_the_angle_is_exact_at_nothing_a_right_angle_and_opposite_and_is_a_distance():
    draws = torch.Generator().manual_seed(0)
    a, b, c = torch.randn(3, 1000, 3, generator=draws, dtype=torch.float64)
    right = torch.linalg.cross(a, b)
    found = [figures(rows(x, y))["error_deg"] for x, y in ((a, a), (a, right), (a, -a))]
    assert found == [pytest.approx(angle, abs=1e-12) for angle in (0, 90, 180)]
    assert (angular_error(a, c) <= angular_error(a, b) + angular_error(b, c) + 1e-12).all()
    torch.testing.assert_close(angular_error(3 * a, b), angular_error(b, a), rtol=0, atol=1e-12)


def test_every_figure_of_a_few_samples_by_hand():
    truth = degrees((0, 0), (0, 10), (20, 0), (-40, 100))
    gaze = degrees((4, 0), (0, 16), (20, 0), (-40, 100))
    found = figures(rows(gaze, truth, subject=torch.tensor([0, 0, 0, 1])))
    by_hand = {
        "error_deg": 10 / 4,
        "error_median_deg": 0.0,
        "error_p90_deg": 6.0,
        "error_pitch_deg": 1.0,
        "error_yaw_deg": 1.5,
        "bias_pitch_deg": 1.0,
        "bias_yaw_deg": 1.5,
        "subject_error_deg": (10 / 3 + 0) / 2,
        "hit_5deg": 3 / 4,
        "hit_10deg": 1.0,
        "error_front180_deg": 10 / 3,
        "error_front20_yaw_deg": 10 / 3,
        "error_front20_axis_deg": 10 / 3,
        "error_yaw_0_15_deg": 10 / 3,
        "error_yaw_90_180_deg": 0.0,
        "error_pitch_up_0_15_deg": 5.0,
        "error_pitch_up_15_30_deg": 0.0,
        "error_pitch_down_30_90_deg": 0.0,
    }
    assert {name: found[name] for name in by_hand} == {n: pytest.approx(v, abs=1e-6) for n, v in by_hand.items()}
    # Bands that nobody looks into, and certainty that the head does not state, are left out.
    assert not {"error_yaw_15_30_deg", "error_pitch_down_0_15_deg", "nll", "ause"} & set(found)


def test_yaw_errors_and_bias_go_round_the_seam():
    found = figures(rows(degrees((0, -178)), degrees((0, 178))))
    assert (found["bias_yaw_deg"], found["error_yaw_deg"]) == (pytest.approx(4), pytest.approx(4))


def test_errors_that_follow_their_concentration_are_calibrated_and_too_sure_ones_are_not():
    found = figures(calibrated())
    for q in (50, 68, 90):
        assert found[f"coverage_{q}"] == pytest.approx(q / 100, abs=0.025)
    assert found["calibration_error"] < 0.02
    assert found["spearman"] > 0.4
    assert found["ause"] < 0.6
    sure = figures(calibrated(doubt=8.0))
    assert sure["coverage_68"] < 0.3
    assert sure["calibration_error"] > 0.3
    assert sure["nll"] > found["nll"]
    assert sure["sharpness_deg"] < found["sharpness_deg"]
    assert (sure["spearman"], sure["ause"]) == (pytest.approx(found["spearman"]), pytest.approx(found["ause"]))


def test_who_knows_each_error_has_no_excess_risk_and_who_knows_the_opposite_more_than_chance():
    truth = degrees(*[(0, 0)] * 50)
    error = torch.arange(1, 51)
    gaze = degrees(*[(0, e) for e in error.tolist()])
    knowing, wrong = (figures(rows(gaze, truth, spread=s.repeat(2, 1).T)) for s in (error, 51 - error))
    assert (knowing["ause"], knowing["spearman"]) == (pytest.approx(0), pytest.approx(1))
    assert wrong["ause"] > 1
    assert wrong["spearman"] == pytest.approx(-1)


def test_an_interval_covers_each_angle_apart():
    truth = degrees((0, 0), (0, 0), (0, 0), (0, 0))
    spread = torch.tensor([[5.0, 5.0]] * 4).deg2rad() / 1.2816  # an interval of 80 % of 5 degrees to both sides
    found = figures(rows(degrees((4, 0), (-4, 6), (6, 6), (0, -6)), truth, spread=spread))
    assert (found["interval_coverage_pitch"], found["interval_coverage_yaw"]) == (0.75, 0.25)


def test_weights_are_repeated_samples():
    some = calibrated(60)
    draw = torch.randint(60, (60,), generator=torch.Generator().manual_seed(4))
    weight = torch.bincount(draw, minlength=60).double()[None]
    redone = {m.name: m.figure() for m in certainty_measures(some.at(draw)) if m.n}
    for measure in certainty_measures(some):
        if measure.n:
            assert float(measure.over(weight)) == pytest.approx(redone[measure.name], abs=0.01), (
                measure.name
            )  # steps of the curves


def test_a_failed_prediction_makes_figures_nan_and_takes_nothing_away():
    some = calibrated(50)
    some.gaze[3] = torch.nan
    some.concentration[7] = torch.nan
    found = figures(some)
    assert math.isnan(found["error_deg"])
    assert math.isnan(found["nll"])
    assert math.isnan(found["ause"])
    assert len(figures(calibrated(50))) == len(found)


def test_the_metric_adds_up_and_names_what_could_be_monitored_before_it_knows_anything():
    some = calibrated(40)
    metric = AngularError()
    with pytest.warns(UserWarning, match="before"):
        empty = metric.compute()
    assert set(empty) == {m.name for m in measures(some)}
    assert all(math.isnan(value) for value in empty.values())
    for half in (some.at(torch.arange(40) < 15), some.at(torch.arange(40) >= 15)):
        prediction = DirectionPrediction(half.gaze.float() * 3, half.kappa.float())
        metric.update(prediction, DirectionTargets(half.truth.float(), subject=half.subject))
    found, known = metric.compute(), figures(some)
    assert set(found) == set(known)
    for name, value in found.items():
        assert float(value) == pytest.approx(known[name], abs=1e-4), name
    few = AngularError(only=["nll"])
    few.update(prediction, DirectionTargets(half.truth.float()))
    assert set(few.compute()) == {"error_deg", "nll"}
    few.reset()
    few.update(DirectionPrediction(half.gaze), DirectionTargets(half.truth))
    assert set(few.compute()) == {"error_deg"}
    with pytest.warns(UserWarning, match="before"), pytest.raises(ValueError, match="only has nl; there are error_deg"):
        AngularError(only=["nl"]).compute()


def test_cones_of_the_metric_are_those_of_the_distribution():
    k = torch.tensor([30.0], dtype=torch.float64)
    radius = float(quantile(k, 0.68).rad2deg())
    truth = degrees((0, 0), (0, 0))
    found = figures(rows(degrees((0, radius - 0.1), (0, radius + 0.1)), truth, kappa=k.repeat(2)))
    assert found["coverage_68"] == 0.5
    assert found["sharpness_deg"] == pytest.approx(radius)
