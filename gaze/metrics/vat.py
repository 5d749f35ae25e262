"""VideoAttentionTarget's own AUC and distance, which are not those of GazeFollow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torchmetrics import Metric

from gaze.heatmaps import annotated, corner_peak, in_frame
from gaze.metrics.heatmap_distance import distances
from gaze.metrics.per_head import HeadFigure
from gaze.metrics.ranking import auc_of_mask
from gaze.types import ScenePrediction, SceneTargets

CELLS = 64  # the grid of the published evaluation
REACH = 9  # cells on either side of the target that count as hit


class VAT(Metric):
    """``vat_auc`` and ``vat_l2``: means over heads that look into the picture, on a grid of 64 x 64.

    For the AUC a rectangle of up to 19 x 19 cells around the first annotation is positive; its last row
    and column never are (the published slice ends at 63). The distance is from the corner of the largest
    cell to that annotation, in fractions of the picture. Heatmaps of another size are resized, as
    probabilities and bilinearly. NaN when no head counted, or the map of one holds a NaN; a head whose
    rectangle is empty (a target far beyond the border) counts in the distance only.
    """

    full_state_update = False
    total_auc: Tensor
    count_auc: Tensor
    total_l2: Tensor
    count_l2: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total_auc", "count_auc", "total_l2", "count_l2"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def heads(self, prediction: ScenePrediction, targets: SceneTargets) -> dict[str, HeadFigure]:
        """AUC and distance of each head."""
        probability = prediction.heatmap.sigmoid()
        if probability.shape[-2:] != (CELLS, CELLS):
            probability = F.interpolate(probability[:, None], (CELLS, CELLS), mode="bilinear")[:, 0]
        first = targets.points[:, :1]
        seen = in_frame(targets) & annotated(first)[:, 0]

        broken = seen & probability.isnan().any(-1).any(-1)  # ranks and peaks would hide it
        auc = auc_of_mask(probability.flatten(1), hit_cells(first[:, 0]).flatten(1)).double()
        ranked = (seen & ~auc.isnan()) | broken
        distance, _ = distances(corner_peak(probability), first)
        return {
            "vat_auc": HeadFigure(auc.masked_fill(broken, torch.nan), ranked),
            "vat_l2": HeadFigure(distance.double().masked_fill(broken, torch.nan), seen),
        }

    def update(
        self, prediction: ScenePrediction, targets: SceneTargets, heads: Mapping[str, HeadFigure] | None = None
    ) -> None:
        """Add a batch; `heads` are its heads' figures where the caller has them already."""
        heads = heads or self.heads(prediction, targets)
        for name in ("auc", "l2"):
            figure = heads[f"vat_{name}"]
            getattr(self, f"total_{name}").add_(figure.total)
            getattr(self, f"count_{name}").add_(figure.counted.sum())

    def compute(self) -> dict[str, Tensor]:
        return {"vat_auc": self.total_auc / self.count_auc, "vat_l2": self.total_l2 / self.count_l2}


def hit_cells(points: Float[Tensor, "n 2"]) -> Bool[Tensor, "n 64 64"]:
    """The cells near enough to each point to be called right; none for NaN."""
    centre = points[..., None] * CELLS
    cell = torch.arange(CELLS, device=points.device)
    first, end = (centre - REACH).trunc(), (centre + REACH + 1).trunc()
    inside = (cell >= first) & (cell < end) & (cell < CELLS - 1)
    x, y = inside.unbind(1)
    return y[:, :, None] & x[:, None, :]
