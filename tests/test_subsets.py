"""The parts of a split."""

import pytest
import torch

from gaze.errors import UserError
from gaze.head_records import HeadRecords
from gaze.subsets import SUBSETS, check_kinds, subsets

NAN = float("nan")


def records(sides, targets=None, inout=None):
    side = torch.tensor(sides)
    n = len(side)
    target = torch.full((n, 2), NAN) if targets is None else torch.tensor(targets)
    label = torch.ones(n) if inout is None else torch.tensor(inout)
    box = torch.stack([torch.zeros(n), torch.zeros(n), side, side], 1)
    return HeadRecords(torch.arange(n), box, target, label, torch.full((n, 2), 9), torch.zeros(n, 2), None, {})


def named(parts):
    return {part.name: part.mask.nonzero()[:, 0].tolist() for part in parts}


def test_head_size_has_thirds_by_the_side_of_the_box():
    parts = subsets(records([0.5, 0.1, 0.3, 0.2, 0.6, 0.4]), ["head_size"])
    assert named(parts) == {"small": [1, 3], "medium": [2, 5], "large": [0, 4]}
    assert [part.extent for part in parts] == [pytest.approx(e) for e in ((0.1, 0.2), (0.3, 0.4), (0.5, 0.6))]


def test_equal_values_stay_together():
    parts = named(subsets(records([0.2, 0.2, 0.9, 0.2, 0.2, 0.2]), ["head_size"]))
    assert parts == {"small": [0, 1, 3, 4, 5], "large": [2]}


@pytest.mark.parametrize("heads", range(1, 12))
def test_thirds_differ_by_a_head_at_most(heads):
    parts = named(subsets(records([0.01 + 0.05 * i for i in range(heads)]), ["head_size"]))
    sizes = [len(part) for part in parts.values()]
    assert sum(sizes) == heads
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == min(heads, 3)


def test_a_side_is_that_of_the_square_of_the_same_area():
    one = records([0.0])
    wide = HeadRecords(
        one.index, torch.tensor([[0.1, 0.2, 0.5, 0.3]]), one.target, one.inout, one.image_size, one.point, None, {}
    )
    assert float(wide.head_side) == pytest.approx((0.4 * 0.1) ** 0.5)


def test_distance_is_from_the_middle_of_the_head_and_leaves_out_heads_without_a_target():
    heads = records([0.2] * 4, [[0.1, 0.2], [NAN, NAN], [0.1, 0.9], [0.1, 0.5]])
    parts = subsets(heads, ["distance"])
    assert named(parts) == {"near": [0], "medium": [3], "far": [2]}
    assert parts[0].extent == pytest.approx((0.1, 0.1))


def test_inout_is_by_label_and_leaves_out_unknown_ones():
    assert named(subsets(records([0.1] * 4, inout=[1.0, 0.0, NAN, 1.0]), ["inout"])) == {"in": [0, 3], "out": [1]}
    assert named(subsets(records([0.1] * 2), ["inout"])) == {"in": [0, 1]}


def test_heads_without_a_box_or_a_target_are_in_no_third():
    assert subsets(records([NAN, NAN]), ["head_size", "distance"]) == []


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(UserError, match="'size'; expected some of head_size, distance, inout"):
        check_kinds(["head_size", "size"])
    check_kinds(list(SUBSETS))
