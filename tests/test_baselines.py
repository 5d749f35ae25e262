"""Baselines: right where they can be, and blind to everything else."""

import torch

from gaze.baselines import CentrePrior, DisplacementPrior, MeanHeatmap
from gaze.comparison import scene_baselines
from gaze.datasets.annotations import SceneLabels
from gaze.heatmaps import subcell_peak
from gaze.types import SceneInputs
from tests.stubs.line import Line


def labels(points: torch.Tensor, heads: torch.Tensor) -> SceneLabels:
    boxes = torch.cat([heads - 0.05, heads + 0.05], dim=1)
    n = len(points)
    import pyarrow as pa

    return SceneLabels(
        path=pa.array([f"{i}.jpg" for i in range(n)]),
        size=torch.full((n, 2), 100),
        start=torch.arange(n + 1),
        head_bbox=boxes,
        points=points[:, None],
        inout=torch.ones(n),
    )


def inputs(heads: torch.Tensor) -> SceneInputs:
    n = len(heads)
    return SceneInputs(torch.zeros(n, 3, 8, 8), torch.cat([heads - 0.05, heads + 0.05], dim=1), torch.arange(n))


def test_the_centre_prior_points_at_the_centre():
    prediction = CentrePrior()(inputs(torch.tensor([[0.2, 0.3], [0.8, 0.1]])))
    assert prediction.heatmap.shape == (2, 64, 64)
    assert torch.allclose(subcell_peak(prediction.heatmap), torch.full((2, 2), 0.5), atol=0.01)


def test_the_mean_heatmap_points_where_most_looked():
    points = torch.tensor([[0.3, 0.7]] * 5 + [[0.9, 0.1]] * 2 + [[float("nan")] * 2])
    model = MeanHeatmap(labels(points, torch.full((8, 2), 0.5)))
    assert torch.allclose(subcell_peak(model(inputs(torch.rand(3, 2))).heatmap), torch.tensor([0.3, 0.7]), atol=0.01)


def test_the_displacement_prior_moves_with_the_head_and_depends_on_where_it_is():
    heads = torch.cat(
        [torch.tensor([[0.2, 0.5]]) + 0.01 * torch.randn(50, 2), torch.tensor([[0.8, 0.5]]) + 0.01 * torch.randn(50, 2)]
    )
    points = heads + torch.tensor([[0.25, 0.1]] * 50 + [[-0.25, 0.1]] * 50)  # everybody looks inwards and down
    model = DisplacementPrior(labels(points, heads))
    guess = subcell_peak(model(inputs(torch.tensor([[0.22, 0.5], [0.78, 0.5]]))).heatmap)
    assert torch.allclose(guess, torch.tensor([[0.47, 0.6], [0.53, 0.6]]), atol=0.03)


def test_the_displacement_prior_learns_from_the_whole_split():
    heads = torch.full((90, 2), 0.5)
    points = heads + torch.tensor([[-0.3, 0.0]] * 30 + [[0.3, 0.0]] * 60)  # those in the end are the majority
    model = DisplacementPrior(labels(points, heads), most=9)
    assert len(model.centres) == 9
    guess = subcell_peak(model(inputs(torch.tensor([[0.5, 0.5]]))).heatmap)
    assert torch.allclose(guess, torch.tensor([[0.8, 0.5]]), atol=0.02)


def test_only_scene_data_has_scene_baselines():
    assert scene_baselines(Line("train")) == {}
