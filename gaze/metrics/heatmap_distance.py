"""How far from the annotated points is the peak of the heatmap?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from gaze.heatmaps import annotated, in_frame, mean_annotation
from gaze.metrics.collapse import Collapse
from gaze.metrics.per_head import HeadFigure
from gaze.peaks import PEAKS
from gaze.types import ScenePrediction, SceneTargets


class HeatmapDistance(Metric):
    """``avg_l2``, to the mean of a head's annotations, and ``min_l2``, to the nearest: means over heads.

    In fractions of the image, each axis from 0 to 1, so not isotropic in a picture that is not square.
    Heads that look out of the picture don't count. NaN when no head counted.

    Args:
        decode: ``corner`` is the point of all published figures, the corner of the largest cell.
            ``centre`` adds half a cell, ``subcell`` and ``dark`` interpolate (see `gaze.peaks`), which is
            better, not comparable, and called ``avg_l2_centre`` and so on.
    """

    full_state_update = False
    total_avg: Tensor
    total_min: Tensor
    count: Tensor
    lowest: Tensor
    highest: Tensor
    heatmaps: Tensor

    def __init__(self, decode: str = "corner") -> None:
        super().__init__()
        if decode not in PEAKS:
            raise ValueError(f"decode is {decode!r}; expected one of {', '.join(PEAKS)}")
        self.peak = PEAKS[decode]
        suffix = "" if decode == "corner" else f"_{decode}"
        self.average, self.nearest = f"avg_l2{suffix}", f"min_l2{suffix}"
        for name in ("total_avg", "total_min", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("lowest", torch.full((2,), torch.inf), dist_reduce_fx="min")  # of all peaks, per axis
        self.add_state("highest", torch.full((2,), -torch.inf), dist_reduce_fx="max")
        self.add_state("heatmaps", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.collapse = Collapse(
            "peaks of heatmaps (x, y)", "the model does not look; look at its weights and the loss"
        )

    def heads(self, prediction: ScenePrediction, targets: SceneTargets) -> dict[str, HeadFigure]:
        """Both distances of each head."""
        point = self.peak(prediction.heatmap)
        broken = prediction.heatmap.isnan().any(-1).any(-1)  # its largest cell would be a place like any other
        average, nearest = distances(point.masked_fill(broken[:, None], torch.nan), targets.points)
        counted = in_frame(targets)
        return {
            self.average: HeadFigure(average.double(), counted),
            self.nearest: HeadFigure(nearest.double(), counted),
        }

    def update(
        self, prediction: ScenePrediction, targets: SceneTargets, heads: Mapping[str, HeadFigure] | None = None
    ) -> None:
        """Add a batch; `heads` are its heads' figures where the caller has them already."""
        heads = heads or self.heads(prediction, targets)
        self.total_avg += heads[self.average].total
        self.total_min += heads[self.nearest].total
        self.count += heads[self.nearest].counted.sum()
        if len(prediction.heatmap):
            peaks = PEAKS["corner"](prediction.heatmap)
            self.lowest = torch.minimum(self.lowest, peaks.amin(0))
            self.highest = torch.maximum(self.highest, peaks.amax(0))
            self.heatmaps += len(peaks)

    def compute(self) -> dict[str, Tensor]:
        self.collapse.look(self.lowest, self.highest, int(self.heatmaps))
        return {self.average: self.total_avg / self.count, self.nearest: self.total_min / self.count}


def distances(
    predicted: Float[Tensor, "n 2"], points: Float[Tensor, "n a 2"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """From each predicted point to the mean annotation, and to the nearest one."""
    there = annotated(points)
    each = (points - predicted[:, None]).norm(dim=-1).masked_fill(~there, torch.inf)
    return (mean_annotation(points) - predicted).norm(dim=-1), each.amin(1)
