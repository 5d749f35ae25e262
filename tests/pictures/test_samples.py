"""Choosing and judging the samples that are shown."""

import torch

from gaze.pictures.samples import miss, spread
from gaze.types import ScenePrediction, SceneTargets


def test_samples_are_spread_over_the_whole_split():
    assert spread(100, 4) == [0, 33, 66, 99]
    assert spread(3, 8) == [0, 1, 2]
    assert spread(5, 1) == [0]


def test_a_miss_is_the_distance_to_the_nearest_annotation():
    heatmap = torch.full((2, 8, 8), -9.0)
    heatmap[:, 2, 4] = 9.0  # its centre is at (4.5, 2.5) / 8
    nan = float("nan")
    points = torch.tensor([[[0.9, 0.9], [4.5 / 8, 2.5 / 8 + 0.1], [nan, nan]], [[nan, nan]] * 3])
    targets = SceneTargets(points, torch.tensor([1.0, 0.0]), torch.tensor([[8, 8]] * 2))
    near, none = miss(ScenePrediction(heatmap), targets)
    torch.testing.assert_close(near, torch.tensor(0.1))
    assert none.isnan()
