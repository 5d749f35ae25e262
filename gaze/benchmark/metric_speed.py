"""The two AUCs, against scikit-learn head by head."""

from __future__ import annotations

import torch

from gaze.benchmark import reference
from gaze.benchmark.clock import interleaved
from gaze.benchmark.result import Result
from gaze.metrics.heatmap_auc import HeatmapAUC
from gaze.metrics.ranking import auc_of_mask
from gaze.metrics.vat import hit_cells
from gaze.types import ScenePrediction, SceneTargets

CPU = torch.device("cpu")


def gazefollow_auc(rounds: int, heads: int = 16, size: tuple[int, int] = (480, 640)) -> Result:
    """GazeFollow's: every pixel of the picture, ten annotators."""
    maps, points = torch.randn(heads, 64, 64), torch.rand(heads, 10, 2)
    targets = SceneTargets(points, torch.ones(heads), torch.tensor([size] * heads))

    def published() -> float:
        each = [reference.image_auc(m, p, size) for m, p in zip(maps.sigmoid(), points, strict=True)]
        return sum(each) / heads

    def ours() -> float:
        metric.reset()
        metric.update(ScenePrediction(maps), targets)
        return float(metric.compute()["auc"])

    metric = HeatmapAUC()
    return Result(
        name=f"GazeFollow AUC, {size[1]} x {size[0]}",
        unit="heads",
        units=heads,
        timings=interleaved({"published": published, "exact": ours}, rounds, CPU),
        goals={"exact": 60.0},
        difference=abs(ours() - published()),
        tolerance=1e-12,
        limits={},
    )


def vat_auc(rounds: int, heads: int = 128) -> Result:
    """VideoAttentionTarget's: 4096 cells, of which a rectangle is right."""
    maps, points = torch.rand(heads, 64, 64), torch.rand(heads, 2)

    def published() -> torch.Tensor:
        each = [reference.vat_auc(m, p) for m, p in zip(maps, points, strict=True)]
        return torch.tensor(each, dtype=torch.float64)

    def ours() -> torch.Tensor:
        return auc_of_mask(maps.flatten(1), hit_cells(points).flatten(1))

    return Result(
        name="VideoAttentionTarget AUC",
        unit="heads",
        units=heads,
        timings=interleaved({"published": published, "exact": ours}, rounds, CPU),
        goals={"exact": 30.0},
        difference=float((ours() - published()).abs().max()),
        tolerance=1e-12,
        limits={},
    )
