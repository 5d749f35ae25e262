"""Pairs of a test of redirection are those of the published protocol."""

from __future__ import annotations

import pytest
import torch

from gaze.datasets.faults import DatasetError
from gaze.datasets.head_views import HeadViews
from tests.head_views.files import Person, heads, listed, write


def test_inputs_are_the_first_half_and_targets_an_order_of_the_second_that_is_stored(tmp_path):
    root = heads(tmp_path, people=2, views=8)
    listed(root, test=[0, 1])
    views = HeadViews(str(root), "test")
    pairs = views.pairs()
    assert views.row[pairs[:, 0]].tolist() == [0, 1, 2, 3] * 2
    targets = views.row[pairs[:, 1]].tolist()
    assert targets[:4] == targets[4:]  # the same for everybody
    assert sorted(targets[:4]) == [4, 5, 6, 7]
    assert views.subject[pairs].tolist() == [[0, 0]] * 4 + [[1, 1]] * 4
    assert views.pairs(seed=7).tolist() == pairs.tolist()  # stored, and not drawn again
    assert [int(line) for line in (root / "pairs/test.txt").read_text().split()] == targets[:4]


def test_a_published_list_is_followed_and_must_be_one(tmp_path):
    root = heads(tmp_path, people=1, views=6)
    (tmp_path / "public.txt").write_text("5\n3\n4\n")
    views = HeadViews(str(root), "test")
    assert views.pairs(str(tmp_path / "public.txt")).tolist() == [[0, 5], [1, 3], [2, 4]]
    for text, told in (
        ("3\n3\n5\n", "among them 3"),
        ("0\n3\n4\n", "among them 0"),
        ("3\n4\n", "rows are 6"),
        ("a", "a"),
    ):
        (tmp_path / "bad.txt").write_text(text)
        with pytest.raises(DatasetError, match=rf"bad\.txt .*{told}.*expected an order of 3 to 5"):
            views.pairs(str(tmp_path / "bad.txt"))


def test_pairs_without_a_view_are_left_out_and_people_must_have_as_many(tmp_path):
    person = Person(0, views=6)
    person.codes[1, 0] = float("nan")
    write(tmp_path / "subject0000.h5", person)
    write(tmp_path / "subject0001.h5", Person(1, views=4))
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/test.txt").write_text("5 3 4")
    options = {"on_corrupt": "skip", "skip_limit": 0.5}
    views = HeadViews(str(listed(tmp_path, test=[0])), "test", **options)
    assert views.row[views.pairs()].tolist() == [[0, 5], [2, 4]]
    both = HeadViews(str(listed(tmp_path, test=[0, 1])), "test", **options)
    with pytest.raises(DatasetError, match=r"subject0001 has 4 views and subject0000 6 in split test"):
        both.pairs()


def test_held_out_frames_are_paired_among_themselves(tmp_path):
    root = heads(tmp_path, people=2, views=8)
    listed(root, train=[0, 1])
    (root / "pairs").mkdir()
    (root / "pairs/val.txt").write_text("9\n8\n")  # of other files
    views = HeadViews(str(root), "val", held_frames=0.5)
    pairs = views.pairs()
    assert len(pairs) == len(views) // 2
    assert torch.equal(views.subject[pairs[:, 0]], views.subject[pairs[:, 1]])
    assert len(pairs.unique()) == len(views)  # each is an input or a target, once
    assert pairs.tolist() == views.pairs().tolist()
