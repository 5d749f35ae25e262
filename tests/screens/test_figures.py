"""Figures of predicted points against numbers worked by hand."""

import math

import pytest
import torch

from gaze.devices import KINDS
from gaze.errors import UserError
from gaze.label_units import UNITS
from gaze.metrics.point_error import PointError
from gaze.screens.figures import figures, measures
from gaze.screens.rows import rows_of
from gaze.types import ScreenPrediction, ScreenTargets

OFF = torch.tensor([[3.0, 4.0], [0.0, -1.0], [0.5, 0.0], [0.0, 1.5]])  # distances 5, 1, 0.5, 1.5
TRUTH = torch.tensor([[0.0, -2.0], [0.0, -2.0], [1.0, -8.0], [-1.0, -8.0]])


def targets(**facts):
    return ScreenTargets(TRUTH, **facts)


def found(off=OFF, **facts):
    return figures(rows_of(TRUTH + off, targets(**facts)))


def test_errors_by_hand():
    figure = found()
    assert figure["error_cm"] == pytest.approx(2.0)
    assert figure["error_median_cm"] == pytest.approx(1.0)
    assert figure["error_p90_cm"] == pytest.approx(5.0)
    assert figure["rmse_cm"] == pytest.approx(math.sqrt((25 + 1 + 0.25 + 2.25) / 4))
    assert (figure["error_x_cm"], figure["error_y_cm"]) == pytest.approx((3.5 / 4, 6.5 / 4))
    assert (figure["bias_x_cm"], figure["bias_y_cm"]) == pytest.approx((3.5 / 4, 4.5 / 4))
    assert (figure["hit_1cm"], figure["hit_2cm"]) == (0.5, 0.75)
    assert figure["auc_within"] == pytest.approx((0 + 0.8 + 0.9 + 0.7) / 4)


def test_what_the_labels_do_not_say_is_left_out():
    assert not {"error_px", "error_deg", "error_deg_approximate", "fixation_error_cm", "subject_error_cm"} & set(
        found()
    )


def test_a_fixation_averages_predictions_before_it_measures():
    figure = found(fixation=torch.tensor([7, 7, 9, -1]))
    # Fixation 7: mean error vector (1.5, 1.5), each prediction (1.5, 2.5) from the mean; fixation 9: 0.5; one unknown.
    assert figure["fixation_error_cm"] == pytest.approx((math.hypot(1.5, 1.5) + 0.5) / 2)
    assert figure["jitter_cm"] == pytest.approx(math.hypot(1.5, 2.5))


def test_users_count_alike_and_the_worst_tenth_is_at_least_one_user():
    figure = found(subject=torch.tensor([0, 1, 1, 1]))
    assert figure["subject_error_cm"] == pytest.approx((5 + 1) / 2)
    assert figure["subject_error_std_cm"] == pytest.approx(4 / math.sqrt(2))
    assert figure["worst_tenth_cm"] == pytest.approx(5)


def test_pixels_need_not_be_square_and_the_diagonal_is_the_unit_of_screens():
    size, px = torch.tensor([[6.0, 8.0]] * 4), torch.tensor([[600.0, 1600.0]] * 4)
    size[3] = torch.nan
    figure = found(screen_cm=size, screen_px=px)
    assert figure["error_px"] == pytest.approx((math.hypot(300, 800) + 200 + 50) / 3)
    assert figure["error_diagonal"] == pytest.approx((5 + 1 + 0.5) / 3 / 10)


def test_degrees_are_exact_where_the_eyes_are_known_and_marked_where_only_their_distance_is():
    origin = torch.full((4, 3), torch.nan)
    origin[1] = torch.tensor([0.0, 2.0, 30.0])  # right in front of the truth: camera y is down, the plane's is up
    figure = found(origin=origin, distance_cm=torch.tensor([25.0, 30.0, torch.nan, torch.nan]))
    assert figure["error_deg"] == pytest.approx(math.degrees(math.atan2(1, 30)), rel=1e-5)
    assert figure["error_deg_approximate"] == pytest.approx(math.degrees(math.atan2(5, 25)), rel=1e-5)


def test_kinds_of_devices_and_the_screens_centre():
    kind = torch.tensor([KINDS.index("phone")] * 2 + [KINDS.index("tablet")] + [-1])
    figure = found(kind=kind, centre=torch.tensor([[0.0, -5.0]] * 4))
    assert figure["error_phone_cm"] == pytest.approx(3.0)
    assert figure["error_tablet_cm"] == pytest.approx(0.5)
    assert "error_laptop_cm" not in figure
    assert figure["centre_error_cm"] == pytest.approx((3 + 3 + math.hypot(1, 3) * 2) / 4)
    # x: 0 counts as right of the centre, as the truth's 0 does
    assert figure["quadrant_accuracy"] == 1.0


def test_a_failed_prediction_makes_every_figure_of_its_row_nan():
    off = OFF.clone()
    off[2] = torch.nan
    known = {"fixation": torch.tensor([0, 0, 0, 0]), "subject": torch.tensor([0, 0, 1, 1])}
    screens = {"centre": torch.zeros(4, 2), "screen_cm": torch.ones(4, 2), "screen_px": torch.ones(4, 2)}
    figure = found(off, **known, **screens)
    labels_only = {"centre_error_cm"}
    assert all(math.isnan(value) for name, value in figure.items() if name not in labels_only)


def test_weights_are_repetitions():
    rows = rows_of(TRUTH + OFF, targets(subject=torch.arange(4)))
    twice = rows.at(torch.tensor([0, 0, 0, 2]))
    repeated = {m.name: m.figure() for m in measures(twice)}
    weight = torch.tensor([[3.0, 0.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
    for m in measures(rows):
        if m.n == 4 and m.name not in ("subject_error_cm", "subject_error_std_cm", "worst_tenth_cm"):
            weighted, whole = m.over(weight).tolist()
            assert weighted == pytest.approx(repeated[m.name], nan_ok=True), m.name
            assert whole == pytest.approx(m.figure(), nan_ok=True), m.name


def test_a_figure_knows_what_it_rests_on():
    kind = torch.tensor([KINDS.index("phone")] * 3 + [KINDS.index("tablet")])
    size, px = torch.tensor([[6.0, 8.0]] * 4), torch.tensor([[600.0, 1600.0]] * 4)
    size[3] = torch.nan
    facts = {"fixation": torch.tensor([0, 0, 1, -1]), "subject": torch.tensor([0, 0, 1, 1]), "kind": kind}
    n = {m.name: m.n for m in measures(rows_of(TRUTH + OFF, targets(screen_cm=size, screen_px=px, **facts)))}
    assert n["error_cm"] == n["hit_1cm"] == 4  # frames
    assert (n["error_phone_cm"], n["error_tablet_cm"], n["error_laptop_cm"]) == (3, 1, 0)
    assert (n["fixation_error_cm"], n["jitter_cm"]) == (2, 1)  # fixations; a single frame has no jitter
    assert n["subject_error_cm"] == n["worst_tenth_cm"] == 2  # users
    assert (n["error_px"], n["error_deg"]) == (3, 0)


def test_the_metric_over_batches_is_the_figures_of_all_rows():
    metric = PointError()
    facts = {"fixation": torch.tensor([0, 1, 0, 1]), "subject": torch.tensor([0, 0, 1, 1])}
    whole = found(**facts)
    for rows in (slice(0, 1), slice(1, 4)):
        part = ScreenTargets(TRUTH[rows], **{name: value[rows] for name, value in facts.items()})
        metric.update(ScreenPrediction((TRUTH + OFF)[rows]), part)
    figure = {name: float(value) for name, value in metric.compute().items()}
    assert figure.pop("error") == pytest.approx(whole["error_cm"])  # what may be monitored in any unit
    assert figure == pytest.approx(whole)


HALVES = torch.full((4,), UNITS.index("half_windows"))


def test_labels_in_another_unit_name_their_figures_by_it_and_have_none_that_need_cm():
    known = {"screen_cm": torch.ones(4, 2), "screen_px": torch.ones(4, 2), "distance_cm": torch.ones(4)}
    figure = found(unit=HALVES, **known)
    assert figure["error_half_windows"] == pytest.approx(2.0)
    assert figure["error_median_half_windows"] == pytest.approx(1.0)
    assert not [name for name in figure if "cm" in name or name.startswith(("hit", "auc", "error_px", "error_deg"))]
    with pytest.raises(UserError, match="in cm and in half_windows, which have no common error"):
        found(unit=torch.tensor([0, 0, 1, 1]))


def test_the_metric_takes_the_unit_from_the_labels_and_its_settings_hold_for_any():
    metric = PointError(only=["error_cm", "error_px"])
    assert set(metric.compute()) == {"error", "error_cm", "error_px"}  # before a label was seen
    metric.update(ScreenPrediction(TRUTH + OFF), targets(unit=HALVES))
    assert {name: float(value) for name, value in metric.compute().items()} == {
        "error": pytest.approx(2.0), "error_half_windows": pytest.approx(2.0)
    }  # fmt: skip
    unsaid = PointError(unit="half_windows", only=["error_half_windows"])
    unsaid.update(ScreenPrediction(TRUTH + OFF), targets())
    assert set(unsaid.compute()) == {"error", "error_half_windows"}


def test_an_empty_metric_names_what_could_be_monitored_and_refuses_what_could_not():
    assert {"error", "fixation_error_cm"} <= set(PointError().compute())
    with pytest.raises(ValueError, match=r"only has eror_cm; there are error_cm"):
        PointError(only=["eror_cm"]).compute()
