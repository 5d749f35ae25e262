"""Choosing a method, measuring it, keeping it."""

import json
from dataclasses import replace

import pytest
import torch

from gaze.calibration.calibration import calibrate, read_calibration
from gaze.calibration.curve import curve, write_curve
from gaze.calibration.dots import CalibrationError, dots_of
from gaze.calibration.held_out import compare, held_out_points
from gaze.calibration.selection import NONE, candidates, left_out
from tests.calibration.people import person

EYE = torch.eye(2, dtype=torch.float64)
NOWHERE = torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_the_choice_is_never_worse_than_none_on_its_own_dots(seed, count):
    harmless = seed % 2 == 0
    frames = person(seed, count, noise=1.5, **({"matrix": EYE, "shift": NOWHERE} if harmless else {}))
    made = calibrate(dots_of(frames)[0])
    assert made.left_out_cm[made.method] <= made.left_out_cm[NONE]


def test_nobody_is_calibrated_whose_errors_are_noise():
    people = [person(seed, 9, noise=1.0, matrix=EYE, shift=NOWHERE) for seed in range(20)]
    chosen = [calibrate(dots_of(frames)[0]).method for frames in people]
    assert chosen.count(NONE) >= 16
    frames = people[chosen.index(NONE)]
    assert calibrate(dots_of(frames)[0]).apply(frames.point) is frames.point


def test_the_defaults_go_by_the_number_of_dots():
    dots, _ = dots_of(person(dots=12, features=3))
    assert [candidates(dots, count)[0] for count in (1, 4, 5, 30)] == [*["offset_shrunk"] * 2, *["affine_ridge"] * 2]
    assert "ridge_feat" in candidates(dots, 9)
    assert calibrate(dots_of(person(dots=9))[0]).method == "affine_ridge"
    assert calibrate(dots_of(person(dots=1))[0]).method == "offset_shrunk"


def test_a_dot_has_no_say_in_its_own_calibration():
    frames = person(dots=7, noise=0.5)
    moved = frames.target.clone()
    moved[frames.dot == 2] += 50.0
    before, after = dots_of(frames)[0], dots_of(replace(frames, target=moved))[0]
    for name in ("affine_ridge", "offset", "knn"):
        torch.testing.assert_close(left_out(name, before, before.frames)[2], left_out(name, after, after.frames)[2])
    torch.testing.assert_close(held_out_points(before)[2], held_out_points(after)[2])


def test_before_and_after_are_of_held_out_dots():
    frames = person(dots=9)
    dots, found = compare(frames, torch.ones(len(frames), dtype=torch.bool))
    assert (len(dots), found.dots) == (9, 9)
    assert found.after_cm < 0.5 * found.before_cm
    dots, found = compare(frames, frames.dot < 6)
    assert (len(dots), found.dots) == (6, 3)
    assert found.after_cm < found.before_cm
    assert compare(person(dots=1), torch.ones(8, dtype=torch.bool))[1].dots == 0


@pytest.mark.parametrize("method", [None, "offset", "poly2", "knn", "ridge_feat", "svr", "svr_absolute"])
def test_a_calibration_survives_its_file(tmp_path, method):
    frames = person(dots=9, noise=0.2, features=4)
    made = calibrate(dots_of(frames)[0], method, {"fingerprint": "abc"})
    made.write(tmp_path / "c.json")
    again = read_calibration(tmp_path / "c.json")
    torch.testing.assert_close(again.apply(frames.point, frames.features), made.apply(frames.point, frames.features))
    assert (again.method, again.about, again.left_out_cm) == (made.method, {"fingerprint": "abc"}, made.left_out_cm)


def test_other_files_and_features_are_refused(tmp_path):
    frames = person(features=4)
    made = calibrate(dots_of(frames)[0], "svr")
    for features, found in ((None, "none"), (torch.zeros(len(frames), 3).double(), "3")):
        with pytest.raises(CalibrationError, match=f"reads 4 features and was given {found}"):
            made.apply(frames.point, features)
    file = tmp_path / "c.json"
    with pytest.raises(CalibrationError, match="does not exist"):
        read_calibration(file)
    made.write(file)
    plain = json.loads(file.read_text())
    wrong = [("{", "is no JSON"), ("[]", "holds no calibration"), (plain | {"gaze_calibration": 9}, "of version 9")]
    for text, message in [*wrong, ({k: v for k, v in plain.items() if k != "correction"}, "damaged")]:
        file.write_text(text if isinstance(text, str) else json.dumps(text))
        with pytest.raises(CalibrationError, match=message):
            read_calibration(file)


def test_what_calibration_should_not_have_to_mend_is_warned_of():
    wide = calibrate(dots_of(person(matrix=2.5 * EYE, shift=torch.tensor([9.0, 9.0]).double()))[0], "affine_ls")
    assert [text.split(",")[0] for text in wide.warnings[:2]] == ["the scale of x is 2.50", "the scale of y is 2.50"]
    assert "more than 3.0 cm" in wide.warnings[2]
    assert calibrate(dots_of(person())[0]).warnings == []
    assert "one dot cannot show" in calibrate(dots_of(person(dots=1))[0]).warnings[0]


def test_the_curve_falls_and_is_written(tmp_path):
    people = {name: person(seed, 20, noise=0.4) for seed, name in enumerate("abc")}
    table = curve(people, draws=4)
    rows = {(row["method"], row["points"]): row for row in table.to_pylist()}
    assert {row["points"] for row in rows.values()} == {1, 3, 5, 9, 13}  # 15 of 20 dots are not held out
    assert ("affine_ls", 1) not in rows
    assert ("svr", 9) not in rows  # there are no features
    row = rows["affine_ridge", 13]
    assert (row["users"], row["draws"], row["held_out_dots"]) == (3, 4, 5)
    assert row["error_cm"] < 0.6 * row["before_cm"]
    assert row["fixation_error_cm"] < row["error_cm"]
    assert rows["chosen", 13]["error_cm"] < rows["chosen", 3]["error_cm"] < rows["none", 3]["error_cm"]
    assert rows["none", 3]["error_cm"] == rows["none", 3]["before_cm"]
    assert table == curve(people, draws=4)
    write_curve(table, tmp_path)
    assert (tmp_path / "calibration_curve.csv").stat().st_size > 100
    assert (tmp_path / "calibration_curve.png").read_bytes().startswith(b"\x89PNG")
