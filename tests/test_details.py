"""What is left out where it does not apply, and what is refused when it is asked for all the same."""

import pytest

from gaze.details import choose_details
from gaze.errors import UserError
from gaze.metrics.heatmap_auc import HeatmapAUC
from gaze.metrics.heatmap_distance import HeatmapDistance
from tests.stubs.heads import Heads
from tests.stubs.line import Line, Seen

DISTANCE = {"heatmap_distance": HeatmapDistance()}
ALL = ["head_size", "distance", "inout"]


def test_scenes_have_all_details_unless_told_otherwise():
    chosen = choose_details(Heads(), DISTANCE)
    assert (chosen.subsets, chosen.failures, chosen.resamples) == (ALL, 24, 1000)
    chosen = choose_details(Heads(), DISTANCE, ["inout"], 3, 0)
    assert (chosen.subsets, chosen.failures, chosen.resamples) == (["inout"], 3, 0)
    assert choose_details(Heads(), DISTANCE, [], 0).subsets == []
    assert choose_details(Heads(), DISTANCE, "inout").subsets == ["inout"]


def test_what_does_not_apply_is_left_out():
    chosen = choose_details(Line("val"), {"seen": Seen()})
    assert (chosen.subsets, chosen.failures) == ([], 0)
    assert choose_details(Line("val"), {"seen": Seen()}, [], 0).subsets == []
    chosen = choose_details(Heads(), {"heatmap_auc": HeatmapAUC()})
    assert (chosen.subsets, chosen.failures) == (ALL, 0)
    chosen = choose_details(Heads(), {"seen": Seen()})
    assert (chosen.subsets, chosen.failures) == ([], 0)


@pytest.mark.parametrize(
    ("dataset", "metrics", "asked", "message"),
    [
        (
            Line("val"),
            {"seen": Seen()},
            {"subsets": ["inout"]},
            "subsets is about .* the samples hold Point; leave subsets",
        ),
        (Line("val"), {"seen": Seen()}, {"failures": 5}, "failures is about .* hold Point; leave failures out"),
        (
            Heads(),
            {"seen": Seen()},
            {"subsets": ["inout"]},
            "subsets needs a metric .* found seen; expected heatmap_dist",
        ),
        (Heads(), {"heatmap_auc": HeatmapAUC()}, {"failures": 5}, "largest min_l2, .* add heatmap_distance to metric"),
        (Heads(), {"dark": HeatmapDistance("dark")}, {"failures": 5}, "add heatmap_distance to metric"),
        (Heads(), DISTANCE, {"subsets": ["sex"]}, "subsets has 'sex'; expected some of head_size, distance, inout"),
        (Heads(), DISTANCE, {"failures": -1}, "failures is -1; expected"),
        (Heads(), DISTANCE, {"resamples": -1}, "resamples is -1; expected"),
    ],
)
def test_what_is_asked_for_in_vain_is_a_sentence(dataset, metrics, asked, message):
    with pytest.raises(UserError, match=message):
        choose_details(dataset, metrics, **asked)
