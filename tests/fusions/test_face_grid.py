"""GazeCapture's face grid, from boxes, counted from 0."""

import pytest
import torch

from gaze.fusions.face_grid import FaceGrid

NAN = float("nan")


def cells(x, y, w, h):
    """First and last column, first and last row of the cells that are 1, which must be a full rectangle."""
    grid = FaceGrid()(torch.tensor([[x, y, w, h] + [0.0] * 8]))[0]
    rows, columns = grid.any(1).nonzero().flatten(), grid.any(0).nonzero().flatten()
    assert grid.sum() == len(rows) * len(columns)
    return [int(v) for edge in (columns, rows) for v in (edge[0], edge[-1])]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0.0, 0.0, 1.0, 1.0), [0, 24, 0, 24]),
        # A GazeCapture box of 480 x 640 px: (107, 257, 272, 272) is 1-based (7, 11, 14, 11) in its JSON
        ((107 / 480, 257 / 640, 272 / 480, 272 / 640), [6, 19, 10, 20]),
        ((0.1, 0.5, 0.04, 0.2), [3, 3, 13, 17]),  # 2.5 and 12.5 cells round away from zero
        ((-0.5, 0.2, 0.8, 0.2), [0, 6, 5, 9]),  # leaves the frame at the left: -12.5 is -13, and 20 cells from there
        ((0.9, 0.9, 0.4, 0.4), [23, 24, 23, 24]),  # and at the lower right
        ((1.2, 0.4, 0.2, 0.2), [24, 24, 10, 14]),  # outside: the border's cell stays
    ],
)
def test_corners_and_sides_are_rounded_and_moved_into_the_frame(box, expected):
    assert cells(*box) == expected


def test_a_box_that_is_not_known_has_an_empty_grid_and_does_not_touch_the_others():
    box = torch.tensor([[0.2, 0.2, 0.4, 0.4] + [0.0] * 8, [NAN] * 12])
    grids = FaceGrid()(box)
    assert grids.isfinite().all()
    assert (grids[0].sum(), grids[1].sum()) == (100, 0)
