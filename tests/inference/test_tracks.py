"""People keep their numbers: what moves, crosses, leaves and returns."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gaze.errors import UserError
from gaze.inference.tracks import Tracker, overlaps


def head(x, y=0.5, side=0.1):
    return [x, y, x + side, y + side]


def seen(tracker, frame, *boxes, persons=None):
    tracks = tracker(frame, torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), persons)
    return [track.person for track in tracks]


def test_overlap_is_intersection_over_union():
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]])
    second = torch.tensor([[1.0, 1.0, 3.0, 3.0], [0.0, 0.0, 2.0, 1.0], [2.0, 0.0, 3.0, 2.0]])
    torch.testing.assert_close(overlaps(first, second), torch.tensor([[1 / 7, 1 / 2, 0.0], [0.0, 0.0, 0.0]]))


def test_numbers_begin_at_1_and_follow_those_who_move():
    tracker = Tracker()
    for frame in range(40):
        boxes = [head(0.1 + 0.01 * frame), head(0.8 - 0.01 * frame, 0.1)]
        assert seen(tracker, frame, *(boxes if frame % 2 else boxes[::-1])) == ([2, 1] if frame % 2 else [1, 2])


@given(st.lists(st.permutations(range(4)), min_size=2, max_size=8), st.integers(0, 99))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_the_order_of_the_boxes_does_not_matter(orders, seed):
    """Four people in four corners wander by less than half a head, in any order of detection."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.tensor([head(0.1, 0.1), head(0.7, 0.1), head(0.1, 0.7), head(0.7, 0.7)])
    tracker, person_of = Tracker(), {}
    for frame, order in enumerate(orders):
        corners = corners + (torch.rand(4, 2, generator=generator) * 0.06 - 0.03).repeat(1, 2)
        for i, track in zip(order, tracker(frame, corners[list(order)]), strict=True):
            assert person_of.setdefault(i, track.person) == track.person
    assert sorted(person_of.values()) == [1, 2, 3, 4]


def test_the_sum_counts_not_the_best_pair():
    """Both moved right; the best single pair is 2 with the box that is 1's, and would leave 1 with none."""
    tracker = Tracker()
    assert seen(tracker, 0, head(0.10), head(0.16)) == [1, 2]
    assert seen(tracker, 1, head(0.14), head(0.20)) == [1, 2]


@pytest.mark.parametrize(("away", "person"), [(1, 1), (5, 1), (6, 2)])
def test_who_returns_within_the_gap_is_the_same(away, person):
    tracker = Tracker(gap=5)
    assert seen(tracker, 0, head(0.1)) == [1]
    for frame in range(1, away + 1):
        assert seen(tracker, frame) == []
    assert seen(tracker, away + 1, head(0.1)) == [person]


@pytest.mark.parametrize(("gap", "person"), [(5, 1), (4, 2)])
def test_the_gap_counts_frames_of_the_video_not_looks(gap, person):
    tracker = Tracker(gap=gap)  # a look at every fifth frame
    seen(tracker, 0, head(0.1))
    seen(tracker, 5)
    assert seen(tracker, 10, head(0.1)) == [person]


def test_a_gap_of_0_still_links_neighbours():
    tracker = Tracker(gap=0)
    assert [seen(tracker, frame, head(0.1)) for frame in (0, 5, 10)] == [[1], [1], [1]]


def test_who_walks_past_an_empty_place_keeps_their_number():
    tracker = Tracker()
    seen(tracker, 0, head(0.5), head(0.42))
    assert seen(tracker, 1, head(0.45)) == [2]  # 1 is gone
    assert seen(tracker, 2, head(0.5)) == [2]  # exactly where 1 was
    assert seen(tracker, 3, head(0.56)) == [2]
    assert seen(tracker, 4, head(0.6), head(0.5)) == [2, 1]


def test_a_number_is_never_given_twice_and_a_return_too_late_begins_anew():
    tracker = Tracker(gap=1)
    assert seen(tracker, 0, head(0.1)) == [1]
    assert seen(tracker, 1, head(0.7)) == [2]
    seen(tracker, 2, head(0.7))
    (track, _) = tracker(3, torch.tensor([head(0.1), head(0.7)]))
    assert (track.person, track.since) == (3, 3)


def test_given_numbers_are_kept_and_a_long_absence_begins_a_new_track():
    tracker = Tracker(gap=2)
    assert seen(tracker, 0, head(0.1), head(0.7), persons=[7, 4]) == [7, 4]
    assert seen(tracker, 1, head(0.1), head(0.7), persons=[4, 7]) == [4, 7]  # they changed places at once
    assert [t.since for t in tracker(2, torch.tensor([head(0.1)]), [4])] == [0]
    assert [t.since for t in tracker(9, torch.tensor([head(0.1), head(0.7)]), [4, 7])] == [0, 9]


def test_whoever_is_in_the_picture_is_one_person():
    tracker = Tracker()
    nobody = [float("nan")] * 4
    assert [seen(tracker, frame, nobody) for frame in range(3)] == [[1], [1], [1]]


def test_it_remembers_no_more_than_the_gap_holds():
    tracker = Tracker(gap=10)
    for frame in range(300):  # somebody new at each look
        seen(tracker, frame, head((frame * 0.37) % 0.9, (frame * 0.61) % 0.9, 0.01))
        assert len(tracker.tracks) <= 12
    assert tracker.persons > 200


@pytest.mark.parametrize("settings", [{"overlap": 0.0}, {"overlap": 1.0}, {"overlap": float("nan")}, {"gap": -1}])
def test_settings_without_sense_are_refused(settings):
    (name,) = settings
    with pytest.raises(UserError, match=rf"track.{name}=.*expected"):
        Tracker(**settings)
