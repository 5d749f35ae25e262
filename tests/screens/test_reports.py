"""Baselines, intervals, and reports that predictions.csv alone can give again."""

import math
from dataclasses import replace

import pyarrow.csv
import pytest
import torch

from gaze.errors import UserError
from gaze.screens.baselines import baseline_points
from gaze.screens.figures import figures
from gaze.screens.intervals import intervals
from gaze.screens.reports import part_table, summary, write_reports
from gaze.screens.table import points_in, prediction_table, read_predictions, rows_in, unit_of, write_csv
from tests.screens.labels import labels, rows


def test_baselines_guess_the_mean_the_centre_and_what_boxes_tell():
    train, test = labels(0, slope=3.0), labels(1, slope=3.0)
    guesses = baseline_points(train, test)
    torch.testing.assert_close(guesses["train mean"], train.point.double().mean(0).expand(12, 2))
    torch.testing.assert_close(guesses["screen centre"], test.centre.double())
    error = {name: float((point - test.point).norm(dim=-1).mean()) for name, point in guesses.items()}
    assert error["linear on boxes"] < 0.5 * error["train mean"]


def test_boxes_that_nobody_knows_leave_the_mean():
    train, test = labels(0), labels(1)
    train.geometry[:] = torch.nan
    torch.testing.assert_close(
        baseline_points(train, test)["linear on boxes"], train.point.double().mean(0).expand(12, 2)
    )


def test_intervals_are_of_users_not_of_frames():
    truth = labels()
    off = torch.tensor([1.0, 2.0, 3.0]).repeat_interleave(4)[:, None] * torch.tensor([0.6, 0.8])
    found = intervals(rows(truth, truth.point + off), resamples=400)
    # Three users with errors 1, 2, 3: all that drawing three of them with replacement can give lies in [1, 3].
    assert found["error_cm"] == (pytest.approx(1.0, abs=0.34), pytest.approx(3.0, abs=0.34))
    assert found == intervals(rows(truth, truth.point + off), resamples=400)
    assert "error_tablet_cm" not in found  # it rests on one user
    assert intervals(rows(truth, truth.point), resamples=0) == {}


def table(seed=2):
    truth, train = labels(), labels(1)
    point = truth.point + torch.randn(12, 2, generator=torch.Generator().manual_seed(seed))
    guesses = baseline_points(train, truth)
    return prediction_table(rows(truth, point), truth, guesses, torch.zeros(12, 2)), rows(truth, point)


def test_every_figure_comes_back_from_the_file_alone(tmp_path):
    made, expected = table()
    write_csv(made, tmp_path / "predictions.csv")
    again = read_predictions(tmp_path / "predictions.csv")
    assert points_in(again) == ["pred", "train_mean", "screen_centre", "linear_on_boxes"]
    assert figures(rows_in(again)) == pytest.approx(figures(expected))
    assert again["device"].to_pylist()[0] == "phone, small"  # quoted
    assert again["subject"].to_pylist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4


def test_the_reports(tmp_path):
    made, expected = table()
    figure, _ = write_reports(made, tmp_path, {"split": "test"}, resamples=20)
    assert figure["pred"] == pytest.approx(figures(expected))
    assert {file.name for file in tmp_path.iterdir()} == {
        *("summary.csv", "per_subject.csv", "per_device.csv", "per_kind.csv", "per_orientation.csv")
    }
    whole = {(row["points"], row["metric"]): row for row in pyarrow.csv.read_csv(tmp_path / "summary.csv").to_pylist()}
    ours = whole["pred", "error_cm"]
    assert ours["value"] == pytest.approx(figures(expected)["error_cm"])
    assert ours["ci_lo"] <= ours["value"] <= ours["ci_hi"]
    assert (ours["n"], ours["split"]) == (12, "test")
    assert ("screen_centre", "error_cm") in whole
    by_user = part_table(made, "subject").to_pylist()
    assert [(row["subject"], row["n"]) for row in by_user] == [("a", 4), ("b", 4), ("c", 4)]
    for number, row in enumerate(by_user):
        theirs = expected.at(expected.subject == number)
        assert row["error_cm"] == pytest.approx(float((theirs.point - theirs.truth).norm(dim=-1).mean()))


def test_a_screen_that_nobody_knows_is_no_baseline():
    truth = labels()
    truth.centre[:] = torch.nan
    made = prediction_table(rows(truth, truth.point), truth, baseline_points(labels(1), truth))
    found, _ = summary(made, resamples=0)
    assert "screen_centre" not in found
    assert found["pred"]["error_cm"] == 0


def test_points_in_another_unit_are_named_by_it(tmp_path):
    truth = replace(labels(), unit="half_windows")
    write_csv(prediction_table(rows(truth, truth.point + 0.5), truth), tmp_path / "predictions.csv")
    again = read_predictions(tmp_path / "predictions.csv")
    assert unit_of(again) == "half_windows"
    assert again["err_half_windows"].to_pylist() == pytest.approx([0.5**0.5] * 12, rel=1e-5)
    found, ends = summary(again, resamples=10)
    assert found["pred"]["subject_error_half_windows"] == pytest.approx(0.5**0.5, rel=1e-5)
    assert set(ends["pred"]) <= set(found["pred"])
    assert not [name for name in found["pred"] if "cm" in name]
    assert unit_of(table()[0]) == "cm"


def test_failed_predictions_survive_the_file(tmp_path):
    truth = labels()
    point = truth.point.clone()
    point[3] = torch.nan
    write_csv(prediction_table(rows(truth, point), truth), tmp_path / "p.csv")
    assert math.isnan(figures(rows_in(read_predictions(tmp_path / "p.csv")))["error_cm"])


@pytest.mark.parametrize(
    ("text", "message"), [("a,b\n1,2\n", "has no column sample_id"), ("a,b\n1\n", "not readable as CSV")]
)
def test_another_file_is_refused(tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_predictions(tmp_path / "p.csv")
    with pytest.raises(UserError, match="does not exist"):
        read_predictions(tmp_path / "q.csv")
