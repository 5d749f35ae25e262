"""Choosing a method, measuring it, keeping it."""

import json
from dataclasses import replace

import pytest
import torch

from gaze.calibration.calibration import calibrate, read_calibration
from gaze.calibration.curve import curve, write_curve
from gaze.calibration.dots import CalibrationError, dots_of
from gaze.calibration.held_out import held_out_points, outcome
from gaze.calibration.selection import NONE, candidates, left_out
from tests.calibration.people import OF_MODELS, methods, person

EYE = torch.eye(2, dtype=torch.float64)
NOWHERE = torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_the_choice_is_never_worse_than_none_on_its_own_dots(seed, count):
    harmless = seed % 2 == 0
    frames = person(seed, count, noise=1.5, **({"matrix": EYE, "shift": NOWHERE} if harmless else {}))
    made = calibrate(dots_of(frames)[0], methods())
    assert made.left_out_cm[made.method] <= made.left_out_cm[NONE]


def test_who_is_off_by_noise_alone_is_left_alone_or_hardly_moved():
    people = [person(seed, 9, noise=1.0, matrix=EYE, shift=NOWHERE) for seed in range(20)]
    made = [calibrate(dots_of(frames)[0], methods()) for frames in people]
    alone = [found.method == NONE for found in made]
    assert sum(alone) > 10
    other = person(99, 200, noise=1.0, matrix=EYE, shift=NOWHERE)  # whom all calibrations would be of no use
    error = [(found.apply(other.point) - other.target).norm(dim=-1).mean() for found in made]
    before = (other.point - other.target).norm(dim=-1).mean()
    assert torch.stack(error).mean() < 1.05 * before
    assert max(error) < 1.2 * before
    frames = people[alone.index(True)]
    assert made[alone.index(True)].apply(frames.point) is frames.point


def test_the_defaults_go_by_the_number_of_dots():
    dots, _ = dots_of(person(dots=12, features=3))
    assert candidates(methods(), dots, 1) == ["offset_shrunk"]
    assert candidates(methods(), dots, 4) == ["offset_shrunk", "offset"]
    assert candidates(methods(), dots, 9)[:4] == ["offset_shrunk", "affine_ridge", "offset", "ridge_feat"]
    assert not set(OF_MODELS) & set(candidates(methods(), dots, 9))  # there is no model
    assert calibrate(dots_of(person(dots=9))[0], methods()).method == "affine_ridge"
    assert calibrate(dots_of(person(dots=1))[0], methods()).method == "offset_shrunk"
    assert calibrate(dots, {"svr": methods()["svr"]}).method == NONE  # it is not offered


def test_a_dot_has_no_say_in_its_own_calibration():
    frames = person(dots=7, noise=0.5)
    moved = frames.target.clone()
    moved[frames.dot == 2] += 50.0
    both = [(frames, *dots_of(frames)), (other := replace(frames, target=moved), *dots_of(other))]
    for name in ("affine_ridge", "offset", "knn", "linear_probe"):
        for method in (methods()[name], replace(methods()[name], folds=3)):
            before, after = (left_out(method, dots, dots.frames) for _, dots, _ in both)
            torch.testing.assert_close(before[2], after[2])
            assert not torch.allclose(before[0], after[0])
    before, after = (held_out_points(dots, seen, which, methods()) for seen, dots, which in both)
    torch.testing.assert_close(before[16:24], after[16:24])


def test_folds_leave_out_dots_together():
    """Of six dots in two folds each is seen by the offset of the three in the other one."""
    dots, _ = dots_of(person(dots=6, noise=0.5))
    offset = replace(methods()["offset"], folds=2)
    shift = left_out(offset, dots, dots.frames) - dots.point
    torch.testing.assert_close(shift[0], dots.residual[[1, 3, 5]].mean(0))
    torch.testing.assert_close(shift[3], dots.residual[[0, 2, 4]].mean(0))
    few = dots.frames * torch.tensor([1, 0, 1, 0, 1, 1])
    torch.testing.assert_close((left_out(offset, dots, few) - dots.point)[4], dots.residual[[2, 5]].mean(0))


def test_before_and_after_are_of_held_out_dots():
    frames = person(dots=9)
    everything = torch.ones(len(frames), dtype=torch.bool)
    found = outcome(frames, everything, methods())
    assert (found.calibration.dots, found.dots, len(found.point)) == (9, 9, len(frames))
    assert found.after_cm < 0.5 * found.before_cm
    found = outcome(frames, frames.dot < 6, methods())
    assert (found.calibration.dots, found.dots) == (6, 3)
    assert found.held_out.tolist() == (frames.dot >= 6).tolist()
    assert found.after_cm < found.before_cm
    torch.testing.assert_close(found.point, found.calibration.apply(frames.point[frames.dot >= 6]))
    assert outcome(person(dots=1), torch.ones(8, dtype=torch.bool), methods()).dots == 0
    six = person(dots=6)  # enough for the method, and not without the dot that is held out
    assert outcome(six, torch.ones(len(six), dtype=torch.bool), methods(), "poly2").dots == 0


@pytest.mark.parametrize(
    "method", [None, "offset", "poly2", "knn", "linear_probe", "ridge_feat", "svr", "svr_absolute"]
)
def test_a_calibration_survives_its_file(tmp_path, method):
    frames = person(dots=9, noise=0.2, features=4)
    made = calibrate(dots_of(frames)[0], methods(), method, {"fingerprint": "abc"})
    made.write(tmp_path / "c.json")
    again = read_calibration(tmp_path / "c.json")
    torch.testing.assert_close(again.apply(frames.point, frames.features), made.apply(frames.point, frames.features))
    assert (again.method, again.about, again.left_out_cm) == (made.method, {"fingerprint": "abc"}, made.left_out_cm)


def test_other_files_and_features_are_refused(tmp_path):
    frames = person(features=4)
    made = calibrate(dots_of(frames)[0], methods(), "svr")
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
    wide = calibrate(
        dots_of(person(matrix=2.5 * EYE, shift=torch.tensor([9.0, 9.0]).double()))[0], methods(), "affine_ls"
    )
    assert [text.split(",")[0] for text in wide.warnings[:2]] == ["the scale of x is 2.50", "the scale of y is 2.50"]
    assert "more than 3.0 cm" in wide.warnings[2]
    assert calibrate(dots_of(person())[0], methods()).warnings == []
    assert "one dot cannot show" in calibrate(dots_of(person(dots=1))[0], methods()).warnings[0]


def test_the_curve_falls_and_is_written(tmp_path):
    people = {name: person(seed, 20, noise=0.4) for seed, name in enumerate("abc")}
    some = {name: methods()[name] for name in ("affine_ridge", "offset_shrunk", "affine_ls", "svr", "finetune_head")}
    table = curve(people, some, draws=4)
    rows = {(row["method"], row["points"]): row for row in table.to_pylist()}
    assert {row["points"] for row in rows.values()} == {1, 3, 5, 9, 13}  # 15 of 20 dots are not held out
    assert ("affine_ls", 1) not in rows
    assert not {("svr", 9), ("finetune_head", 9)} & set(rows)  # there are no features and no model
    row = rows["affine_ridge", 13]
    assert (row["users"], row["draws"], row["held_out_dots"]) == (3, 4, 5)
    assert row["error_cm"] < 0.6 * row["before_cm"]
    assert row["fixation_error_cm"] < row["error_cm"]
    assert rows["chosen", 13]["error_cm"] < rows["chosen", 3]["error_cm"] < rows["none", 3]["error_cm"]
    assert rows["none", 3]["error_cm"] == rows["none", 3]["before_cm"]
    assert table == curve(people, some, draws=4)
    write_curve(table, tmp_path)
    assert (tmp_path / "calibration_curve.csv").stat().st_size > 100
    assert (tmp_path / "calibration_curve.png").read_bytes().startswith(b"\x89PNG")
