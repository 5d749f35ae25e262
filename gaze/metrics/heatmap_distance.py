"""How far from the annotated points is the peak of the heatmap?"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from gaze.heatmaps import annotated, check_mode, corner_peak, in_frame, subcell_peak
from gaze.types import ScenePrediction, SceneTargets

Decode = Literal["corner", "subcell"]


class HeatmapDistance(Metric):
    """``avg_l2``, to the mean of a head's annotations, and ``min_l2``, to the nearest: means over heads.

    In fractions of the image, each axis from 0 to 1, so not isotropic in a picture that is not square.
    Heads that look out of the picture don't count. NaN when no head counted.

    Args:
        decode: ``corner`` is the point of all published figures, the corner of the largest cell.
            ``subcell`` interpolates, which is better, not comparable, and called ``avg_l2_subcell``.
    """

    full_state_update = False
    total_avg: Tensor
    total_min: Tensor
    count: Tensor

    def __init__(self, decode: str = "corner") -> None:
        super().__init__()
        check_mode(decode, Decode, "decode")
        self.peak = corner_peak if decode == "corner" else subcell_peak
        self.suffix = "" if decode == "corner" else "_subcell"
        for name in ("total_avg", "total_min", "count"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: ScenePrediction, targets: SceneTargets) -> None:
        point = self.peak(prediction.heatmap)
        broken = prediction.heatmap.isnan().any(-1).any(-1)  # its largest cell would be a place like any other
        average, nearest = distances(point.masked_fill(broken[:, None], torch.nan), targets.points)
        counted = in_frame(targets)
        self.total_avg += average.double().masked_fill(~counted, 0.0).sum()
        self.total_min += nearest.double().masked_fill(~counted, 0.0).sum()
        self.count += counted.sum()

    def compute(self) -> dict[str, Tensor]:
        return {
            f"avg_l2{self.suffix}": self.total_avg / self.count,
            f"min_l2{self.suffix}": self.total_min / self.count,
        }


def distances(
    predicted: Float[Tensor, "n 2"], points: Float[Tensor, "n a 2"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """From each predicted point to the mean annotation, and to the nearest one."""
    there = annotated(points)
    mean = points.masked_fill(~there[..., None], 0.0).sum(1) / there.sum(1, keepdim=True)
    each = (points - predicted[:, None]).norm(dim=-1).masked_fill(~there, torch.inf)
    return (mean - predicted).norm(dim=-1), each.amin(1)
