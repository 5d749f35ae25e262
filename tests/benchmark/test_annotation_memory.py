"""Both ways of keeping labels hold the same, and what is measured is memory of theirs."""

from gaze.benchmark.annotation_memory import PIECE, alone, columns, listed, read


def test_lists_and_columns_hold_the_same():
    rows = PIECE + 10
    ours, theirs = columns(rows), listed(rows)
    assert abs(read(ours) - read(theirs)) < 1e-4
    assert ours.path[rows - 1].as_py() == theirs[-1]["path"]
    assert (ours.head_bbox[-1, 0] * 640 - theirs[-1]["bbox"][0]).abs() < 1e-2


def test_labels_take_at_least_what_their_arrays_hold():
    rows = 10 * PIECE
    labels = columns(PIECE)
    arrays = sum(part.nbytes for part in (labels.head_bbox, labels.points, labels.inout, labels.path)) / PIECE
    parent, with_workers, mean = alone(columns, rows)
    assert with_workers >= parent >= rows * arrays
    assert abs(mean - read(columns(rows))) < 1e-6
