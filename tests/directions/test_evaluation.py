"""Evaluation of directions: the table, what is made of it, and that a file of it is enough to make it again."""

import math
from functools import partial

import pyarrow.csv
import pyarrow.parquet
import pytest
import torch

from gaze.crossings import Trained, crossed, matrix
from gaze.datasets.faults import EmptySplitError
from gaze.directions.baselines import fit_ridge
from gaze.directions.evaluation import about_directions, predictions, report, report_again
from gaze.directions.reports import fold_rows, write_reports
from gaze.directions.table import holds_directions, read_predictions, rows_by_name, rows_in
from gaze.directions.temperature import temperature_of
from gaze.errors import UserError
from gaze.folds import TASKS
from gaze.geometry import angular_error
from gaze.hardware import Hardware
from gaze.pictures.direction_errors import calibration_picture
from gaze.screens.table import LEFT_OUT
from tests.directions.some_faces import LabelledFaces, Reader
from tests.directions.some_rows import calibrated

CPU = Hardware(device="cpu", workers=0)
FILES = [
    "banks.csv",
    "calibration.png",
    "codes.csv",
    "errors.png",
    "per_attribute.csv",
    "per_band.csv",
    "per_dataset.csv",
    "per_subject.csv",
]
FILES += ["predictions.csv", "predictions.parquet", "routers.csv", "routers.png", "subsets.csv", "summary.csv"]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """The folder of an evaluation and the table that it is of."""
    folder = tmp_path_factory.mktemp("evaluated")
    test_set = LabelledFaces("test")
    assert about_directions(test_set)
    table, loads = predictions(Reader(), test_set, LabelledFaces, CPU, batch_size=16)
    report(table, folder, {"split": "test", "model": "reader", "dataset": "its own"}, resamples=40, loads=loads)
    return folder, table


def read(folder, name):
    return pyarrow.csv.read_csv(folder / name).to_pylist()


def test_every_sample_has_a_row_with_all_that_is_known_of_it(evaluated):
    folder, table = evaluated
    assert sorted(file.name for file in folder.iterdir()) == FILES
    rows, labels = read(folder, "predictions.csv"), LabelledFaces("test").labels
    first = rows[0]
    assert (first["name"], first["dataset"], first["subject"]) == ("made/0000.jpg", "made", "made/p0")
    assert (first["detected"], first["split"], first["attribute_light"]) == ("no", "test", "")
    assert (first["bank_light"], first["bank_back"]) == ("dim", "e")
    assert {row["bank_gaze"] for row in rows} == {"a", "b"}
    named = {(row["bank_gaze"], row["attribute_gaze"], row["code"]) for row in rows}
    assert named == {("a", "a", 3), ("b", "b", 0), ("a", "", 3)}  # one looks straight ahead
    # Colours are linear in the gaze: 127.5 + 100 of each coordinate, in whole numbers
    bright = 0.5 + (labels.gaze @ torch.tensor([0.299, 0.587, 0.114])) / 2.55
    torch.testing.assert_close(torch.tensor([row["luma"] for row in rows]), bright, atol=0.01, rtol=0)
    truth = torch.tensor([[row[f"gaze_{axis}"] for axis in "xyz"] for row in rows])
    torch.testing.assert_close(truth, labels.gaze)
    found = rows_in(table)
    assert first["error_deg"] == pytest.approx(math.degrees(float(angular_error(found.gaze, found.truth)[0])))
    assert pyarrow.parquet.read_table(folder / "predictions.parquet").column_names == list(first)


def test_baselines_are_told_what_they_are_and_ridge_reads_frozen_features(evaluated):
    folder, table = evaluated
    whole = {(row["directions"], row["metric"]): row for row in read(folder, "summary.csv")}
    error = {name: whole[name, "error_deg"]["value"] for name in ("pred", "train_mean", "head_direction", "ridge")}
    assert error["pred"] < 5
    assert error["ridge"] < 2 < error["head_direction"] < error["train_mean"]
    assert whole["head_direction", "error_deg"]["n"] == 30  # heads that are known
    row = whole["pred", "subject_error_deg"]
    assert row["ci_lo"] <= row["value"] <= row["ci_hi"]
    mean = LabelledFaces("train").labels.gaze.mean(0).double()
    guesses = rows_by_name(table)["train_mean"]
    assert angular_error(guesses.gaze, mean.expand(40, 3)).max() < 1e-5


def test_the_temperature_of_the_validation_split_makes_cones_likelier(evaluated):
    folder, _ = evaluated
    nll = {row["directions"]: row["value"] for row in read(folder, "summary.csv") if row["metric"] == "nll"}
    assert set(nll) == {"pred", "tempered"}
    assert nll["tempered"] < nll["pred"]


def test_parts_have_people_and_counts(evaluated):
    folder, _ = evaluated
    ours = [row for row in read(folder, "subsets.csv") if row["directions"] == "pred"]
    assert {row["part"]: row["n"] for row in ours if row["part"] in ("all", "front180", "detected")} == {
        "all": 40,
        "front180": 40,
        "detected": 32,
    }
    people = [row for row in read(folder, "per_subject.csv") if row["directions"] == "pred"]
    assert [(row["part"], row["n"], row["people"]) for row in people] == [(f"made/p{p}", 10, 1) for p in range(4)]
    light = {(row["by"], row["part"]) for row in read(folder, "per_attribute.csv")}
    assert {("light", "even"), ("light", "dim"), ("chosen back", "e")} <= light
    assert {row["part"] for row in read(folder, "per_dataset.csv")} == {"made"}
    bands = [row for row in read(folder, "per_band.csv") if (row["by"], row["directions"]) == ("yaw_deg", "pred")]
    assert sum(row["n"] for row in bands) == 40
    banks = {row["bank"]: row for row in read(folder, "banks.csv")}
    assert (banks["back"]["favourite"], banks["back"]["share"], banks["back"]["known"]) == ("e", 1.0, 0)
    # The bank of lights calls everything dim, which is half of what is known
    assert (banks["light"]["favourite"], banks["light"]["known"]) == ("dim", 26)
    assert (banks["light"]["right"], banks["light"]["majority"]) == (0.5, 0.5)
    predicted = read(folder, "predictions.csv")
    shares = [sum(row["attribute_gaze"] == name for row in predicted) / 39 for name in "ab"]
    assert (banks["gaze"]["right"], banks["gaze"]["known"]) == (1.0, 39)  # nobody's is the one who looks straight ahead
    assert banks["gaze"]["chance"] == pytest.approx(sum(share**2 for share in shares))
    lumas = [row for row in read(folder, "per_band.csv") if (row["by"], row["directions"]) == ("luma", "pred")]
    assert [row["n"] for row in lumas] == [8] * 5
    codes = read(folder, "codes.csv")
    counts = [sum(row["code"] == code for row in predicted) for code in (0, 3)]
    assert [(row["code"], row["n"]) for row in codes] == [(0, counts[0]), (3, counts[1])]
    assert codes[0]["yaw_deg"] > 0 > codes[1]["yaw_deg"]  # of those to the picture's left, and right
    loads = read(folder, "routers.csv")
    assert [(row["layer"], row["load"], row["dead"]) for row in loads] == [
        ("mixture", share, share == 0) for share in (0.75, 0.25, 0.0, 0.0)
    ]


def test_reports_come_back_from_the_file_byte_for_byte(evaluated, tmp_path, capsys):
    folder, _ = evaluated
    files = [folder / name for name in ("predictions.csv", "predictions.parquet")]
    assert all(map(holds_directions, files))
    table, same = map(read_predictions, files)
    assert table.equals(same)
    report_again(table, tmp_path, resamples=40)
    assert "error_deg" in capsys.readouterr().out
    again = [file for file in FILES if not file.startswith(("predictions", "routers"))]
    assert sorted(file.name for file in tmp_path.iterdir()) == again
    for file in again:
        assert (tmp_path / file).read_bytes() == (folder / file).read_bytes(), file


def test_a_head_that_is_never_sure_and_splits_that_are_not_there_leave_out_what_needs_them(tmp_path, capsys):
    def only_test(split):
        raise EmptySplitError(f"no {split}")

    table, _ = predictions(Reader(sure=False), LabelledFaces("test"), only_test, CPU)
    write_reports(table, tmp_path, resamples=0)
    calibration_picture(rows_by_name(table), tmp_path / "calibration.png")
    assert "baselines that learn are left out" in capsys.readouterr().out
    assert set(rows_by_name(table)) == {"pred", "head_direction"}
    assert not (tmp_path / "calibration.png").exists()
    assert {row["metric"] for row in read(tmp_path, "summary.csv")}.isdisjoint({"nll", "ause", "coverage_50"})


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "predictions.csv").write_text("name,gaze_z\na,1\n")
    with pytest.raises(UserError, match=r"has no column dataset, subject.* that tools/evaluate\.py wrote"):
        read_predictions(tmp_path / "predictions.csv")


def test_the_temperature_undoes_a_wrong_scale():
    some = calibrated(4000, doubt=6.0)
    assert temperature_of(some.kappa, some.error) == pytest.approx(1 / 6, rel=0.08)
    assert temperature_of(torch.full((3,), torch.nan), torch.zeros(3)) is None


def test_the_ridge_is_its_closed_form_and_validation_chooses_the_penalty():
    draws = torch.Generator().manual_seed(0)
    z, v = torch.randn(2, 60, 30, generator=draws, dtype=torch.float64)
    true = torch.zeros(30, 3, dtype=torch.float64)
    true[:3] = torch.eye(3)
    y, w = (x @ true + torch.tensor([0, 0, -5.0]) + 0.8 * torch.randn(60, 3, generator=draws) for x in (z, v))
    y, w = (torch.nn.functional.normalize(x, dim=-1) for x in (y, w))
    ridge = fit_ridge(z, y, v, w)
    centred = z - z.mean(0)
    closed = torch.linalg.solve(
        centred.T @ centred + ridge.penalty * torch.eye(30), centred.T @ (y - y.mean(0)).double()
    )
    torch.testing.assert_close(ridge.weights, closed)
    scale = float(torch.linalg.eigvalsh(centred.T @ centred).mean())
    assert 1e-6 * scale < ridge.penalty < 1e3 * scale


def test_runs_that_leave_somebody_out_end_in_one_table(tmp_path):
    tables = []
    for person in ("p0", "p1", "p2"):
        open_split = partial(LabelledFaces, hold_out=person, people=3)
        test_set = open_split(split="test")
        task = next(task for task in TASKS if task.about(test_set))
        table = task.table(Reader(sure=False), test_set, open_split, CPU)
        tables.append(table.append_column(LEFT_OUT, pyarrow.array([person] * len(table))))
    whole = pyarrow.concat_tables(task.together(tables))
    write_reports(whole, tmp_path, resamples=0)
    rows = read(tmp_path, "per_left_out.csv")
    assert rows == fold_rows(whole).to_pylist()
    assert [row["left_out"] for row in rows] == ["p0", "p1", "p2", "mean of folds", "mean over people"]
    assert rows[3]["pred"] == pytest.approx(sum(row["pred"] for row in rows[:3]) / 3)
    assert rows[4]["pred"] == pytest.approx(rows[3]["pred"])  # folds of one person each
    assert (rows[4]["n"], rows[4]["people"], rows[0]["people"]) == (30, 3, 1)
    others = LabelledFaces("train", hold_out="p0", people=3).labels
    assert not (others.subject == 0).any()
    # The same people twice, as after training on two other data sets, are two tests and no larger one
    again = pyarrow.concat_tables(
        [tables[0], tables[0].set_column(tables[0].num_columns - 1, LEFT_OUT, [["x"] * len(tables[0])])]
    )
    assert [row["left_out"] for row in fold_rows(again).to_pylist()] == ["p0", "x"]
    assert write_reports(again, tmp_path / "two", resamples=0) == {}
    assert [file.name for file in (tmp_path / "two").iterdir()] == ["per_left_out.csv"]


def test_a_table_says_what_of_its_protocol_is_not_as_published(tmp_path, capsys):
    test_set = LabelledFaces("test", people=2)
    test_set.facts = {"limits": "yaw to 42 deg"}
    table, _ = predictions(Reader(sure=False), test_set, partial(LabelledFaces, people=2), CPU)
    report(table, tmp_path, resamples=0)
    assert "20 faces, yaw to 42 deg" in capsys.readouterr().out
    assert {row["protocol"] for row in read(tmp_path, "summary.csv")} == {"yaw to 42 deg"}


def test_people_of_train_set_neither_temperature_nor_penalty(capsys):
    open_split = partial(LabelledFaces, people=2)

    def everybody_trains(split):
        return open_split(split="train" if split == "val" else split)

    table, _ = predictions(Reader(), open_split(split="test"), everybody_trains, CPU)
    assert "all people of val trained the model" in capsys.readouterr().out
    assert "tempered_kappa" not in table.column_names
    table, _ = predictions(Reader(), open_split(split="test"), open_split, CPU)
    assert "tempered_kappa" in table.column_names


def test_runs_are_tested_on_other_data_sets_without_their_data(tmp_path):
    def elsewhere(split):
        if split == "test":  # as of a data set that everybody trains on, a part of which is looked at in validation
            raise EmptySplitError("no test")
        return LabelledFaces("train", people=3 if split == "train" else 1, data="far")

    others = {"far": elsewhere, "near": partial(LabelledFaces, people=2, data="near")}
    rows = crossed("a", Trained(Reader(sure=False), LabelledFaces), others, tmp_path, CPU, resamples=0)
    assert [(row["run"], row["tested_on"], row["n"], row["people"]) for row in rows] == [
        ("a", "far", 30, 3),
        ("a", "near", 20, 2),
    ]
    mean = LabelledFaces("train").labels.gaze.mean(0).expand(20, 3)  # of what the run was trained on
    error = angular_error(mean, LabelledFaces("test", people=2).labels.gaze).mean().rad2deg()
    assert rows[1]["train_mean_error_deg"] == pytest.approx(float(error), abs=1e-3)
    seeds = [{"run": "a", "tested_on": "far", "error": value} for value in (2.0, 4.0)]
    table = matrix([*seeds, {"run": "b", "tested_on": "near", "error": 1.0}], "error").to_pylist()
    assert table == [{"run": "a", "far": "3.000 ± 1.414", "near": ""}, {"run": "b", "far": "", "near": "1.000"}]
    assert (tmp_path / "near" / "subsets.csv").exists()
