"""Tables that people read in terminals of any width, and in files."""

import math

import pytest
from rich.console import Console

from gaze import tables
from gaze.breakdown import Part
from gaze.tables import figure_table, part_table

FIGURES = {"ours": {"min_l2": 0.04331, "auc": 0.9, "mae": 1.0}, "centre prior": {"min_l2": 0.2, "auc": 0.5}}
ENDS = {"ours": {"min_l2": (0.0411, 0.04571)}, "centre prior": {"min_l2": (0.19, 0.21)}}


@pytest.fixture
def terminal(monkeypatch):
    """Makes the tables believe that they are printed on a terminal of some width."""

    def of(width):
        monkeypatch.setattr(tables, "Console", lambda **_: Console(width=width, force_terminal=True, color_system=None))

    return of


def test_a_file_gets_whole_lines(capsys):
    figure_table(FIGURES, "a title", ENDS)
    lines = capsys.readouterr().out.splitlines()
    row = next(line for line in lines if "ours" in line and "the picture" in line)
    assert "0.0433 [0.0411, 0.0457]" in row
    assert "0.9000" in row
    assert "where people looked" not in row
    assert lines[0].startswith("a title")
    assert "ours: min_l2 78% smaller than the best baseline's, that of 'centre prior'" in lines[-1]


def test_a_narrow_terminal_has_intervals_below_their_figures(terminal, capsys):
    terminal(70)
    figure_table(FIGURES, "a title", ENDS)
    out = capsys.readouterr().out
    assert "0.0433 [" not in out
    assert "[0.0411, 0.0457]" in out
    assert max(map(len, out.splitlines()[:-1])) <= 70
    terminal(120)
    figure_table(FIGURES, "a title", ENDS)
    assert "0.0433 [0.0411, 0.0457]" in capsys.readouterr().out


def test_figures_without_intervals_stand_alone_and_nan_is_shown(capsys):
    figure_table({"net": {"error_deg": math.nan, "mae": 0.25}}, "directions")
    out = capsys.readouterr().out
    assert "nan" in out
    assert "0.2500" in out
    assert "[" not in out
    assert "what it sees" not in out


def test_parts_stand_under_their_kind_with_their_extent(capsys):
    parts = [
        Part("head_size", "small", 12, (0.05, 0.125), {"min_l2": 0.5, "auc": 0.75}, {"min_l2": (0.4, 0.6)}),
        Part("head_size", "large", 13, (0.125, 0.5), {"min_l2": 0.25}, {}),
        Part("inout", "out", 3, None, {"inout_accuracy": 1.0}, {}),
    ]
    part_table(parts, "parts")
    lines = [line for line in capsys.readouterr().out.splitlines() if "│" in line]
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines]
    assert cells == [
        ["head_size", "small, 0.050 to 0.125", "12", "0.5000 [0.4000, 0.6000]", "0.7500", ""],
        ["", "large, 0.125 to 0.500", "13", "0.2500", "", ""],
        ["inout", "out", "3", "", "", "1.0000"],
    ]
