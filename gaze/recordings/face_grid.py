"""The face grid of iTracker: which of 25 x 25 cells over the whole frame a face covers."""

from __future__ import annotations

import math

from gaze.recordings.sample import Box

CELLS = 25  # along each side, so that they are not square


Cells = tuple[int, int, int, int]  # (x, y, w, h), counting from 0, inside the grid


def grid_cells(face_box: Box, frame_size: tuple[int, int]) -> Cells:
    """The cells of a face box in pixels, as the authors' faceGridFromFaceRect has them but for its counting from 1."""
    columns, rows = (
        (_round(start * CELLS / whole), _round(length * CELLS / whole))
        for start, length, whole in zip(face_box[:2], face_box[2:], frame_size, strict=True)
    )
    return _clamped(columns[0], rows[0], columns[1], rows[1])


def grid_from_one(x: float, y: float, w: float, h: float) -> Cells:
    """The cells of faceGrid.json and metadata.mat, which count from 1.

    The authors' PyTorch loader takes them as counting from 0, which puts every face one cell off.
    """
    return _clamped(round(x) - 1, round(y) - 1, round(w), round(h))


def edges(cells: Cells) -> Cells:
    """The left, upper, right and lower edge."""
    x, y, w, h = cells
    return x, y, x + w, y + h


def _clamped(x: int, y: int, w: int, h: int) -> Cells:
    x0, y0, x1, y1 = (min(max(edge, 0), CELLS) for edge in edges((x, y, w, h)))
    return x0, y0, x1 - x0, y1 - y0


def _round(value: float) -> int:
    """The nearest integer, halves away from zero as in MATLAB; Python's round takes them to the even one."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
