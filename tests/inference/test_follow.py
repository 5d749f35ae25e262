"""People in a video over time; without a video file."""

import pytest
import torch

from gaze.inference.follow import follow
from gaze.inference.one_euro import OneEuro
from gaze.inference.tracks import Tracker
from gaze.pictures.scene import COLOURS
from tests.inference.films import Script, film

LEFT, RIGHT = [0.1, 0.3, 0.3, 0.6], [0.7, 0.3, 0.9, 0.6]


def run(script, times, smooth=None, every=1, batch_size=8, gap=3, heads=None):
    return list(
        follow(script, heads or script.heads, "v.mp4", film(times), Tracker(gap=gap), smooth, every, batch_size)
    )


def test_numbers_stay_when_the_order_of_the_boxes_changes_and_colours_follow():
    frames = [[(LEFT, (0.5, 0.5)), (RIGHT, (0.5, 0.9))], [(RIGHT, (0.5, 0.9)), (LEFT, (0.5, 0.5))]]
    views = run(Script(frames), [0, 40])
    assert [view.persons for view in views] == [[1, 2], [2, 1]]
    assert [[p["person"] for p in view.record["people"]] for view in views] == [[1, 2], [2, 1]]
    for view in views:
        edge = view.draw()[:, 22, round(0.1 * 64)]  # of the left box
        assert (edge.float() - torch.tensor(COLOURS[0])).abs().max() < 70


def test_between_predictions_the_last_is_held_and_drawn_but_not_recorded():
    frames = [[(LEFT, (0.2 + 0.1 * i, 0.5))] for i in range(6)]
    views = run(Script(frames), range(0, 240, 40), every=3, smooth=OneEuro())
    assert [view.predicted for view in views] == [True, False, False, True, False, False]
    assert [view.frame.number for view in views] == list(range(6))
    for i in range(6):
        assert torch.equal(views[i].points, views[i // 3 * 3].points)
        assert (views[i].draw() != i).any()
    assert [view.record["frame"] for view in views if view.predicted] == [0, 3]


def test_the_record_has_the_raw_and_the_smooth_point_at_the_times_of_the_frames():
    points = [(0.3, 0.5), (0.6, 0.5), (0.6, 0.7)]
    euro = OneEuro(min_cutoff=0.8, beta=2.0)
    views = run(Script([[(LEFT, point)] for point in points]), [0, 40, 900], smooth=euro)
    known = None
    for view, point, time in zip(views, points, (0.0, 0.04, 0.9), strict=True):
        (person,) = view.record["people"]
        known = euro(known, time, torch.tensor(person["gaze"], dtype=torch.float64))
        assert person["gaze"] == pytest.approx(point, abs=2e-3)
        assert person["gaze_smooth"] == pytest.approx(known.value.tolist(), abs=1e-4)
        x, y = known.value.tolist()
        assert person["gaze_smooth_px"] == pytest.approx([x * 64, y * 48], abs=0.06)
        assert view.points[0].tolist() == pytest.approx(person["gaze_smooth"], abs=1e-5)  # and that is what is drawn
    assert views[0].record["people"][0]["gaze_smooth"] == views[0].record["people"][0]["gaze"]


def test_without_a_filter_the_raw_point_is_drawn_and_no_smooth_one_is_made_up():
    (view,) = run(Script([[(LEFT, (0.4, 0.6))]]), [0])
    assert view.record["people"][0]["gaze_smooth"] is None
    assert view.record["people"][0]["gaze_smooth_px"] is None
    assert view.points[0].tolist() == pytest.approx([0.4, 0.6], abs=2e-3)


@pytest.mark.parametrize(("away", "goes_on"), [(3, True), (4, False)])
@pytest.mark.parametrize("given", [True, False])
def test_the_filter_begins_anew_after_an_absence_longer_than_the_gap(away, goes_on, given):
    """Also for a number that a file gives, which the person has again."""
    frames = [[(LEFT, (0.2, 0.5))], *[[]] * away, [(LEFT, (0.8, 0.5))]]
    script = Script(frames)
    script.persons = lambda name, frame: [9] * len(frames[frame])

    class Given:
        __call__ = staticmethod(script.heads)
        persons = staticmethod(script.persons)

    views = run(script, range(0, 40 * len(frames), 40), smooth=OneEuro(beta=0.0), heads=Given() if given else None)
    (person,) = views[-1].record["people"]
    assert person["person"] == (9 if given else 1 if goes_on else 2)
    assert (person["gaze_smooth"] == person["gaze"]) != goes_on


def test_neither_batches_nor_who_else_is_there_change_a_track():
    alone = [[(LEFT, (0.2 + 0.05 * i, 0.5))] for i in range(7)]
    crowd = [[*row, (RIGHT, (0.5, 0.1 * i))] if i % 3 else row for i, row in enumerate(alone)]
    wanted = [view.record["people"][0] for view in run(Script(alone), range(0, 280, 40), OneEuro())]
    for size in (1, 2, 50):
        script = Script(crowd)
        views = run(script, range(0, 280, 40), OneEuro(), batch_size=size)
        assert [view.record["people"][0] for view in views] == wanted
        assert max(script.sizes) <= size


def test_frames_are_read_no_further_than_a_batch_ahead():
    taken = []

    def frames():
        for frame in film(range(0, 400, 40)):
            taken.append(frame.number)
            yield frame

    script = Script([[(LEFT, (0.5, 0.5))]] * 10)
    for view in follow(script, script.heads, "v.mp4", frames(), Tracker(), OneEuro(), 1, 3):
        assert len(taken) <= view.frame.number // 3 * 3 + 3
    assert len(taken) == 10
