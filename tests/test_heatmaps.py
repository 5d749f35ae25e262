"""Heatmap targets, peaks and head prompts."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.heatmaps import corner_peak, gaussian_targets, head_masks, in_frame, subcell_peak
from gaze.types import SceneTargets

RELAXED = settings(deadline=None, max_examples=50, derandomize=True)
NAN = math.nan


def draw(x, y, size=(64, 64), sigma=3.0, mode="subcell"):
    return gaussian_targets(torch.tensor([[[x, y]]], dtype=torch.float64), size, sigma, mode)[0]


@pytest.mark.parametrize(
    ("point", "total", "cells", "peak"),
    [
        ((0.5, 0.5), 56.38298, 361, (32, 32)),
        ((0.0, 0.0), 18.10018, 100, (0, 0)),
        ((0.999, 0.25), 31.94592, 190, (16, 63)),
        ((1.0, 0.5), 25.83310, 171, (32, 63)),  # its centre lies outside, and its maximum is still 1
        ((1.2, 0.5), 0.0, 0, None),
        ((-0.01, 0.5), 0.0, 0, None),
    ],
)
def test_reference_targets(point, total, cells, peak):
    """Golden values of Gaze-LLE's code."""
    target = draw(*point, mode="reference")
    assert target.sum().item() == pytest.approx(total, abs=1e-5)
    assert (target > 0).sum().item() == cells
    if peak is not None:
        assert target[peak].item() == 1
        assert divmod(target.argmax().item(), 64) == peak


def test_reference_targets_are_a_window_of_a_gaussian_around_the_cell():
    target = draw(0.33, 0.72, size=(32, 48), mode="reference")
    centre = (int(0.72 * 32), int(0.33 * 48))
    for row, column in [(0, 0), (3, -2), (-9, 9), (10, 0), (0, -10)]:
        expected = math.exp(-(row**2 + column**2) / 18) if max(abs(row), abs(column)) <= 9 else 0.0
        i, j = centre[0] + row, centre[1] + column
        if i < 32:
            assert target[i, j].item() == pytest.approx(expected, abs=1e-12)


@RELAXED
@given(st.floats(0.0, 0.999), st.floats(0.0, 0.999), st.integers(8, 64), st.integers(8, 64))
def test_both_modes_have_their_largest_cell_where_the_point_is(x, y, h, w):
    subcell = draw(x, y, (h, w))
    cell = divmod(subcell.argmax().item(), w)
    assert abs(cell[0] + 0.5 - y * h) <= 0.5 + 1e-9
    assert abs(cell[1] + 0.5 - x * w) <= 0.5 + 1e-9
    reference = draw(x, y, (h, w), mode="reference")
    assert reference[int(y * h), int(x * w)].item() == 1


@RELAXED
@given(st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(1.0, 4.0))
def test_the_point_can_be_read_back_from_between_the_cells(x, y, sigma):
    logits = torch.logit(draw(x, y, (24, 32), sigma), eps=1e-12)[None]
    torch.testing.assert_close(subcell_peak(logits)[0], torch.tensor([x, y], dtype=torch.float64), atol=1e-4, rtol=0)
    assert (corner_peak(logits)[0] - torch.tensor([x, y])).abs().max() <= 1 / 24


def test_peaks_on_the_border_and_on_a_plain():
    logits = torch.zeros(2, 4, 5)
    logits[0, 3, 0] = 1.0
    assert corner_peak(logits).tolist() == [[0.0, 0.75], [0.0, 0.0]]  # of equals the first
    torch.testing.assert_close(subcell_peak(logits), torch.tensor([[0.1, 0.875], [0.1, 0.125]]))


def test_several_annotators_and_none():
    points = torch.tensor([[[0.25, 0.25], [0.75, 0.75]], [[0.25, 0.25], [NAN, NAN]], [[NAN, NAN], [NAN, NAN]]])
    both, one, none = gaussian_targets(points, (32, 32))
    torch.testing.assert_close(both, torch.maximum(one, one.flip(0, 1)))
    assert none.eq(0).all()


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="'gauss'; expected one of subcell, reference"):
        draw(0.5, 0.5, mode="gauss")


def test_in_frame():
    there, absent = [[0.5, 0.5]], [[NAN, NAN]]
    targets = SceneTargets(
        points=torch.tensor([there, there, there, absent]),
        inout=torch.tensor([1.0, 0.0, NAN, 1.0]),
        image_size=torch.ones(4, 2, dtype=torch.int64),
    )
    assert in_frame(targets).tolist() == [True, False, True, False]


def box_mask(box, size=(32, 32), mode="cover"):
    return head_masks(torch.tensor([box], dtype=torch.float64), size, mode)[0]


@pytest.mark.parametrize(
    ("box", "cells", "first", "last"),
    [
        ((0.1, 0.2, 0.3, 0.4), 49, (6, 3), (12, 9)),
        ((0.015, 0, 0.016, 1), 32, (0, 0), (31, 0)),
        ((0.9, 0.9, 1, 1), 9, (29, 29), (31, 31)),
        ((0.484375, 0.5, 0.515625, 0.546875), 0, None, None),  # 15.5 and 16.5 both round to 16
        ((-0.02, 0.1, 0.2, 0.3), 0, None, None),  # the negative edge wraps around
    ],
)
def test_reference_masks(box, cells, first, last):
    """Golden values of Gaze-LLE's code."""
    mask = box_mask(box, mode="reference")
    assert mask.sum().item() == cells
    if first is not None:
        where = mask.nonzero()
        assert (tuple(where[0].tolist()), tuple(where[-1].tolist())) == (first, last)


EDGE = st.floats(-0.5, 1.5)


@RELAXED
@given(EDGE, EDGE, EDGE, EDGE, st.integers(3, 40), st.integers(3, 40))
def test_reference_masks_are_python_slices(x0, y0, x1, y1, h, w):
    expected = torch.zeros(h, w, dtype=torch.float64)
    expected[round(y0 * h) : round(y1 * h), round(x0 * w) : round(x1 * w)] = 1
    assert torch.equal(box_mask((x0, y0, x1, y1), (h, w), "reference"), expected)


@RELAXED
@given(EDGE, EDGE, st.floats(0.001, 1), st.floats(0.001, 1), st.integers(3, 40), st.integers(3, 40))
def test_every_head_keeps_a_prompt_and_ordinary_ones_the_published_one(x0, y0, width, height, h, w):
    box = (x0, y0, x0 + width, y0 + height)
    cover, reference = box_mask(box, (h, w)), box_mask(box, (h, w), "reference")
    assert cover.sum() >= 1
    if min(box) >= 0 and max(box) <= 1 and reference.any():
        assert torch.equal(cover, reference)


def test_a_head_without_box_has_no_prompt():
    assert box_mask([NAN] * 4).eq(0).all()
    assert box_mask([NAN] * 4, mode="reference").eq(0).all()
    assert box_mask([0.1, NAN, 0.5, 0.5]).eq(0).all()


def test_a_head_smaller_than_a_cell_gets_the_cell_at_its_middle():
    assert box_mask((0.51, 0.76, 0.52, 0.77), (4, 4)).nonzero().tolist() == [[3, 2]]
