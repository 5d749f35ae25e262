"""Baselines, intervals, and reports that predictions.csv alone can give again."""

import math
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from gaze.errors import UserError
from gaze.pictures.calibration import before_after_picture
from gaze.screens.baselines import baseline_points
from gaze.screens.evaluation import report, report_again
from gaze.screens.figures import figures
from gaze.screens.intervals import intervals
from gaze.screens.reports import part_table, summary
from gaze.screens.table import points_in, prediction_table, read_predictions, rows_in, with_facts, write_csv
from tests.screens.labels import labels, rows

BASELINES = ["train_mean", "screen_centre", "linear_on_boxes"]
FILES = ("summary.csv", "per_subject.csv", "per_device.csv", "per_kind.csv", "per_orientation.csv")
ABOUT = {"split": "test", "model": "pog, tiny", "commit": "0123456", "dataset": "its own"}


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


def test_intervals_are_those_of_figures_of_the_drawn_users_frames():
    of, _ = table()
    whole = rows_in(of)
    draws = torch.randint(3, (30, 3), generator=torch.Generator().manual_seed(5))
    redone = []
    for drawn in draws.tolist():
        # Somebody who is drawn twice is two users with the same frames
        parts = [whole.at(whole.subject == user) for user in drawn]
        numbered = [replace(p, subject=p.subject * 0 + i, fixation=p.fixation + 100 * i) for i, p in enumerate(parts)]
        fields = vars(numbered[0])
        redone.append(figures(replace(whole, **{n: torch.cat([getattr(p, n) for p in numbered]) for n in fields})))
    found = intervals(whole, resamples=30, seed=5)
    assert {"error_cm", "error_p90_cm", "rmse_cm", "fixation_error_cm", "worst_tenth_cm", "error_px"} <= set(found)
    for name, ends in found.items():
        values = torch.tensor([figure.get(name, math.nan) for figure in redone], dtype=torch.float64)
        expected = values.nanquantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
        assert ends == pytest.approx(expected.tolist()), name


def table(seed=2):
    truth, train = labels(), labels(1)
    point = truth.point + torch.randn(12, 2, generator=torch.Generator().manual_seed(seed))
    guesses = baseline_points(train, truth)
    return prediction_table(rows(truth, point), truth, guesses, torch.zeros(12, 2)), rows(truth, point)


def test_every_figure_comes_back_from_the_file_alone(tmp_path):
    made, expected = table()
    write_csv(made, tmp_path / "predictions.csv")
    again = read_predictions(tmp_path / "predictions.csv")
    assert points_in(again) == ["pred", *BASELINES]
    assert figures(rows_in(again)) == figures(expected)
    assert again["device"].to_pylist()[0] == "phone, small"  # quoted
    assert again["subject"].to_pylist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 4


def lines(file):
    return pyarrow.csv.read_csv(file).to_pylist()


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The folder of an evaluation."""
    folder = tmp_path_factory.mktemp("reported")
    report(table()[0], folder, ABOUT, resamples=20)
    return folder


def test_the_reports_say_of_every_figure_what_it_rests_on(reported):
    _, expected = table()
    assert {file.name for file in reported.iterdir()} == {*FILES, "predictions.csv", "points.png"}
    whole = {(row["points"], row["metric"]): row for row in lines(reported / "summary.csv")}
    assert {metric for points, metric in whole if points == "pred"} == set(figures(expected))
    ours = whole["pred", "error_cm"]
    assert ours["value"] == pytest.approx(figures(expected)["error_cm"])
    assert ours["ci_lo"] <= ours["value"] <= ours["ci_hi"]
    assert {name: ours[name] for name in ("split", "model", "dataset")} == {
        "split": "test", "model": "pog, tiny", "dataset": "its own"
    }  # fmt: skip
    n = {metric: row["n"] for (points, metric), row in whole.items() if points == "pred"}
    assert (n["error_cm"], n["error_phone_cm"], n["error_tablet_cm"]) == (12, 8, 4)  # frames
    assert (n["subject_error_cm"], n["fixation_error_cm"]) == (3, 6)  # users, fixations
    assert whole["pred", "error_tablet_cm"]["ci_lo"] is None  # of one user


@pytest.mark.parametrize(("part", "values"), [("subject", ["a", "b", "c"]), ("device", ["phone, small", "tablet"])])
def test_baselines_and_intervals_stand_beside_the_figures_of_every_part(reported, part, values):
    _, expected = table()
    found = {(row[part], row["points"], row["metric"]): row for row in lines(reported / f"per_{part}.csv")}
    assert list(dict.fromkeys(value for value, _, _ in found)) == values
    assert {points for _, points, _ in found} == {"pred", *BASELINES}
    for number, value in enumerate(values):
        mask = getattr(expected, part) == number
        theirs = expected.at(mask)
        ours = found[value, "pred", "error_cm"]
        assert ours["value"] == pytest.approx(float((theirs.point - theirs.truth).norm(dim=-1).mean()))
        centre = (theirs.centre - theirs.truth).norm(dim=-1).mean()
        assert found[value, "screen_centre", "error_cm"]["value"] == pytest.approx(float(centre))
        assert ours["n"] == int(mask.sum())
        assert found[value, "pred", "error_px"]["n"] == int(mask.sum())
        users = len(theirs.subject.unique())
        assert found[value, "pred", "subject_error_cm"]["n"] == users
        assert (ours["ci_lo"] is not None) == (users > 1)


def test_figures_made_again_from_the_file_are_the_same_bytes(reported, tmp_path):
    again = read_predictions(reported / "predictions.csv")
    report_again(again, tmp_path, resamples=20)
    write_csv(again, tmp_path / "predictions.csv")
    for name in (*FILES, "predictions.csv", "points.png"):
        assert (tmp_path / name).read_bytes() == (reported / name).read_bytes(), name


def test_a_table_put_together_from_several_says_of_all_where_they_are_from():
    made, _ = table()
    both = pa.concat_tables([with_facts(made, ABOUT), with_facts(made, ABOUT | {"model": "fold 2"})])
    (facts,) = {(row["split"], row["model"]) for row in part_table(both, "kind", resamples=0).to_pylist()}
    assert facts == ("test", "fold 2; pog, tiny")


def test_frames_say_how_far_off_they_are_in_pixels_and_degrees(tmp_path):
    truth = labels()
    known = rows(truth, truth.point + torch.tensor([0.3, 0.4]))
    known.distance_cm[1] = torch.nan
    known.screen_px[2] = torch.nan
    origin = known.origin.clone()
    # Straight in front of the truth: camera x and y run against those of the plane
    origin[3] = torch.tensor([-truth.point[3, 0], -truth.point[3, 1], 40.0]).double()
    write_csv(prediction_table(replace(known, origin=origin), truth), tmp_path / "p.csv")
    first, far, no_screen, placed, *_ = read_predictions(tmp_path / "p.csv").to_pylist()
    assert first["err_cm"] == pytest.approx(0.5)
    assert first["err_px"] == pytest.approx(50.0)  # 100 px a cm
    assert (first["err_deg"], first["deg_kind"]) == (pytest.approx(math.degrees(math.atan2(0.5, 30))), "approximate")
    assert (far["err_deg"], far["deg_kind"]) == (None, "")
    assert no_screen["err_px"] is None
    assert (placed["err_deg"], placed["deg_kind"]) == (pytest.approx(math.degrees(math.atan2(0.5, 40))), "exact")


def test_calibrated_points_stand_beside_those_that_are_not(tmp_path):
    made, expected = table()
    truth = torch.stack([torch.tensor(made[f"gt_{axis}"].to_pylist()) for axis in "xy"], 1)
    point = truth + torch.tensor([0.0, 0.25])
    point[:4] = torch.nan  # nobody calibrated the first user
    for axis, name in enumerate(("calibrated_x", "calibrated_y")):
        made = made.append_column(name, pa.array(point[:, axis].double().numpy(), from_pandas=True))
    write_csv(made, tmp_path / "p.csv")
    found = summary(read_predictions(tmp_path / "p.csv"), resamples=0)
    assert found["calibrated"]["error_cm"] == (pytest.approx(0.25), None, 8)
    theirs = expected.at(torch.arange(4, 12))
    assert found["pred_where_calibrated"]["error_cm"].value == pytest.approx(figures(theirs)["error_cm"])
    assert found["pred"]["error_cm"].n == 12
    empty = made.set_column(made.column_names.index("calibrated_x"), "calibrated_x", pa.nulls(12, pa.float64()))
    assert set(summary(empty, resamples=0)) == {"pred", *BASELINES}


def test_failed_predictions_count_among_the_calibrated_ones():
    made, _ = table()
    columns = {name: made[name].to_pylist() for name in ("gt_x", "gt_y", "pred_x", "pred_y")}
    columns["pred_x"][2] = None
    made = made.set_column(made.column_names.index("pred_x"), "pred_x", pa.array(columns["pred_x"], pa.float64()))
    for axis in "xy":
        cells = [None if row == 2 else value for row, value in enumerate(columns[f"gt_{axis}"])]
        made = made.append_column(f"calibrated_{axis}", pa.array(cells, pa.float64()))
    assert math.isnan(summary(made, resamples=0)["calibrated"]["error_cm"].value)


def test_another_unit_is_in_every_name_and_in_the_file(tmp_path):
    truth = replace(labels(), unit="half_windows", centre=torch.zeros(12, 2))
    made = prediction_table(rows(truth, truth.point + 0.1), truth, baseline_points(labels(1), truth))
    report(made, tmp_path, ABOUT, resamples=0)
    again = read_predictions(tmp_path / "predictions.csv")
    assert set(again["unit"].to_pylist()) == {"half_windows"}
    assert "err_half_windows" in again.column_names
    assert again["err_px"].null_count == again["err_deg"].null_count == 12
    for name in FILES:
        metrics = {row["metric"] for row in lines(tmp_path / name)}
        assert "error_half_windows" in metrics
        assert not [metric for metric in metrics if "cm" in metric], name
    of_windows = {
        row["points"]: row["value"] for row in lines(tmp_path / "summary.csv") if "error_half" in row["metric"]
    }
    assert "screen_centre" in of_windows
    for axis in "xy":
        again = again.append_column(f"calibrated_{axis}", again[f"gt_{axis}"])
    before_after_picture(again, tmp_path / "before_after.png")
    unknown = again.set_column(again.column_names.index("unit"), "unit", pa.array(["mm"] * 12))
    with pytest.raises(UserError, match="points are in 'mm'; expected cm or half_windows"):
        rows_in(unknown)


def test_a_screen_that_nobody_knows_is_no_baseline():
    truth = labels()
    truth.centre[:] = torch.nan
    made = prediction_table(rows(truth, truth.point), truth, baseline_points(labels(1), truth))
    found = summary(made, resamples=0)
    assert "screen_centre" not in found
    assert found["pred"]["error_cm"].value == 0


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


def test_a_file_without_frames_is_refused(tmp_path):
    write_csv(table()[0].slice(0, 0), tmp_path / "p.csv")
    with pytest.raises(UserError, match="has no row"):
        read_predictions(tmp_path / "p.csv")
