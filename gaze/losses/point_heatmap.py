"""The loss of a heatmap over the screen's plane."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.losses.point import PointLoss
from gaze.schedules import Schedule
from gaze.types import ScreenPrediction


class PointHeatmapKL(PointLoss):
    """KL(Gaussian around the truth || softmax of the heatmap), over all cells.

    A soft label of 1 cm is the label smoothing of iMon (Huynh et al., IMWUT 2021). Add point_smooth_l1 for the
    point that the head makes of its heatmap.

    Args:
        sigma_cm: of the Gaussian.
        hardest, spread_cm, weight: see `PointLoss`.

    Raises:
        ValueError: the head predicts no heatmap.
    """

    def __init__(
        self,
        sigma_cm: float = 1.0,
        hardest: float = 0.0,
        spread_cm: Mapping[str, float] | None = None,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(hardest, spread_cm, weight)
        if sigma_cm <= 0:
            raise ValueError(f"sigma_cm is {sigma_cm}; expected more than 0")
        self.sigma_cm = sigma_cm

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        if prediction.heatmap is None or prediction.grid_cm is None:
            raise ValueError("point_heatmap_kl needs a head that predicts a heatmap: head=point_heatmap")
        h, w = prediction.heatmap.shape[-2:]
        x0, y0, x1, y1 = (edge[:, None] for edge in prediction.grid_cm.unbind(-1))
        across, down = ((torch.arange(n, device=point.device) + 0.5) / n for n in (w, h))
        # Separable, so the logits of the target are a sum; its softmax is the Gaussian cut off at the grid's border.
        x = -0.5 * ((x0 + (x1 - x0) * across - point[:, :1]) / self.sigma_cm).square()
        y = -0.5 * ((y0 + (y1 - y0) * down - point[:, 1:]) / self.sigma_cm).square()
        target = (y[:, :, None] + x[:, None, :]).flatten(1).log_softmax(-1)
        predicted = prediction.heatmap.flatten(1).log_softmax(-1)
        divergence: Float[Tensor, "b cells"] = target.exp() * (target - predicted)
        return divergence.sum(-1)
