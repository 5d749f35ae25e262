"""GazeFollow's AUC: does the heatmap rank the annotated pixels above the others?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric

from gaze.geometry import points_to_px
from gaze.heatmaps import annotated, in_frame
from gaze.metrics.per_head import HeadFigure
from gaze.metrics.ranking import auc_at_cells
from gaze.types import ScenePrediction, SceneTargets


class HeatmapAUC(Metric):
    """``auc``: ROC-AUC over all pixels of the original picture, of which the annotated ones are positive.

    The probabilities are resized bilinearly to the picture's size, as GazeFollow's evaluation does. Not
    comparable with `gaze.metrics.vat.VAT`, where a rectangle of cells is positive. The mean over
    heads that look into the picture; NaN when there is none, and when one of their maps holds a NaN.
    Points beyond the right or lower border count as the last pixel; those beyond the left or upper one
    are no annotations (the reference drops only those to the left, and lets the others wrap around).

    Args:
        max_pixels: resized at a time, over all heads; bounds the memory, and on a CPU fits its cache.
    """

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, max_pixels: int = 1 << 20) -> None:
        super().__init__()
        self.max_pixels = max_pixels
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def heads(self, prediction: ScenePrediction, targets: SceneTargets) -> dict[str, HeadFigure]:
        """The AUC of each head. A head whose annotations are all left of or above the corner does not count."""
        probability = prediction.heatmap.sigmoid()
        seen = in_frame(targets)
        broken = seen & probability.isnan().any(-1).any(-1)  # comparing with NaN would pass for an opinion
        auc = torch.full((len(seen),), torch.nan, dtype=torch.float64, device=seen.device)
        sizes, which = torch.unique(targets.image_size, dim=0, return_inverse=True)
        for k, (height, width) in enumerate(sizes.tolist()):
            heads = torch.nonzero(seen & (which == k))[:, 0]
            for some in heads.split(max(1, self.max_pixels // (height * width))):
                auc[some] = image_auc(probability[some], targets.points[some], (height, width))
        return {"auc": HeadFigure(auc.masked_fill(broken, torch.nan), ~auc.isnan() | broken)}

    def update(
        self, prediction: ScenePrediction, targets: SceneTargets, heads: Mapping[str, HeadFigure] | None = None
    ) -> None:
        """Add a batch; `heads` are its heads' figures where the caller has them already."""
        auc = (heads or self.heads(prediction, targets))["auc"]
        self.total += auc.total
        self.count += auc.counted.sum()

    def compute(self) -> dict[str, Tensor]:
        return {"auc": self.total / self.count}


def image_auc(
    probability: Float[Tensor, "n h w"], points: Float[Tensor, "n a 2"], image_size: tuple[int, int]
) -> Float[Tensor, "n"]:
    """The AUC of each head in pictures of `image_size` (height, width) px; NaN without annotation."""
    height, width = image_size
    size = torch.tensor(image_size, device=points.device)
    scores = F.interpolate(probability[:, None], image_size, mode="bilinear").flatten(1)
    there = annotated(points) & (points >= 0).all(-1)
    pixels = points_to_px(points.masked_fill(~there[..., None], 0.0), size)
    column, row = pixels.long().unbind(-1)
    cells = row.clamp(max=height - 1) * width + column.clamp(max=width - 1)
    return auc_at_cells(scores, cells, there)
