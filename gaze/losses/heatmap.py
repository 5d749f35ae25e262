"""The heatmap loss of GazeLLE."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.heatmaps import TargetMode, check_mode, gaussian_targets, in_frame
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, Progress, ScenePrediction


class HeatmapBCE(Loss):
    """Binary cross-entropy, cell by cell, with a Gaussian at the annotated point.

    The mean over the cells of a head, then over the heads whose target is in the picture; those with an
    unknown label count if a point is annotated. A batch without any has a loss of 0 and gradients of 0.

    Args:
        sigma: of the Gaussian, in cells of the predicted heatmap. The reference uses 3 at every size.
        target: ``subcell`` or ``reference``, see `gaze.heatmaps.gaussian_targets`.
        weight: of this term, a number or a schedule.
    """

    def __init__(self, sigma: float = 3.0, target: str = "subcell", weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        check_mode(target, TargetMode, "target")
        if sigma <= 0:
            raise ValueError(f"sigma is {sigma}; expected more than 0 cells")
        self.sigma, self.target = sigma, target

    def forward(self, prediction: ScenePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        logits = prediction.heatmap
        h, w = logits.shape[-2:]
        target = gaussian_targets(batch.targets.points, (h, w), self.sigma, self.target).to(logits.dtype)
        per_head = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean((1, 2))
        counted = in_frame(batch.targets)
        return (per_head * counted).sum() / counted.sum().clamp(min=1)
