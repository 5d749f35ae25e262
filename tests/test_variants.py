"""The table of a sweep over variants names them by what they differ in, and puts seeds together."""

import csv
from pathlib import Path

import pytest

from gaze.variants import difference, names_of, print_table, write, write_differences

FOUND = {
    "as it is": {0: {"error": 2.0}, 1: {"error": 4.0}},
    "experiment=b": {0: {"error": 5.0, "other": 1.0}},
}


def test_runs_are_called_by_what_not_all_of_them_have():
    overrides = {
        Path("0"): ["model=a", "seed=0"],
        Path("1"): ["model=a", "seed=1"],
        Path("2"): ["model=a", "experiment=b", "seed=0"],
    }
    assert [*names_of(overrides).values()] == ["as it is", "as it is", "experiment=b"]


def test_the_table_has_means_spreads_and_differences(tmp_path, capsys):
    write(FOUND, tmp_path / "variants.csv")
    rows = list(csv.DictReader((tmp_path / "variants.csv").open()))
    assert [(row["variant"], row["seed"], row["error"], row["other"]) for row in rows] == [
        ("as it is", "0", "2.0", ""),
        ("as it is", "1", "4.0", ""),
        ("experiment=b", "0", "5.0", "1.0"),
    ]
    print_table(FOUND, ["error"], "test")
    shown = capsys.readouterr().out
    assert "3.000 ± 1.414" in shown
    assert "+2.000" in shown
    print_table(FOUND, ["missing"], "test")
    assert "nan" in capsys.readouterr().out


PAIRED = {"few": {0: {"error": 10.0}, 1: {"error": 14.0}, 2: {"error": 12.0}}}
PAIRED |= {"more": {0: {"error": 8.0}, 1: {"error": 11.0}, 2: {"error": 11.0}}}


def test_differences_are_taken_seed_by_seed_with_students_interval(tmp_path, capsys):
    value, (low, high) = difference(PAIRED["few"], PAIRED["more"], "error")
    assert value == pytest.approx(-2)
    assert [low, high] == pytest.approx(
        [-2 - 4.3027 / 3**0.5, -2 + 4.3027 / 3**0.5], abs=1e-3
    )  # -2, -3, -1: a spread of 1
    print_table(PAIRED, ["error"], "test")
    assert "-2.000 [-4.484, +0.484]" in capsys.readouterr().out
    write_differences(PAIRED, tmp_path / "differences.csv")
    (row,) = csv.DictReader((tmp_path / "differences.csv").open())
    assert (row["variant"], row["than"], row["figure"], row["seeds"]) == ("more", "few", "error", "3")
    assert float(row["ci_hi"]) == pytest.approx(high)


def test_other_seeds_are_no_pairs():
    assert difference(FOUND["as it is"], FOUND["experiment=b"], "error") == (2.0, None)
