"""What a gaze-target model must beat: guesses that never look at a face.

They are models like any other, so the same evaluation runs them. Their predictions are logits whose
order is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gaze.datasets.annotations import SceneLabels
from gaze.geometry import box_centres
from gaze.heatmaps import gaussian_targets
from gaze.types import SceneInputs, ScenePrediction

SIGMA = 3.0  # cells; smooths the counts, as targets are smoothed


class CentrePrior(nn.Module):
    """Everybody looks at the centre of the picture."""

    heatmap: Tensor

    def __init__(self, size: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        point = torch.full((1, 1, 2), 0.5)
        self.register_buffer("heatmap", gaussian_targets(point, (size[0], size[1]), sigma=size[0] / 4)[0])

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        return _predict(self.heatmap.expand(len(inputs.head_bbox), -1, -1))


class MeanHeatmap(nn.Module):
    """Everybody looks where people in the training split looked most."""

    heatmap: Tensor

    def __init__(self, labels: SceneLabels, size: Sequence[int] = (64, 64)) -> None:
        super().__init__()
        points = labels.points[labels.points.isfinite().all(-1)][:, None]
        total = torch.zeros(size[0], size[1])
        for part in points.split(4096):
            total += gaussian_targets(part, (size[0], size[1]), SIGMA).sum(0)
        self.register_buffer("heatmap", total / total.max())

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        return _predict(self.heatmap.expand(len(inputs.head_bbox), -1, -1))


class DisplacementPrior(nn.Module):
    """Everybody looks as far and to the same side of their head as people in the training split did most,
    given where in the picture the head is: all that can be known without a look at the face.

    The map of a head is the mean of the training targets around heads nearby, shifted to this head and
    weighted by how near they were (a Gaussian over head positions).

    Args:
        labels: of the training split.
        size: (h, w) of the heatmap.
        bandwidth: of the weights over head positions, in image sides.
        most: training heads used, spread evenly over the split; they fill the picture densely, and time
            grows with them.
    """

    centres: Tensor
    offsets: Tensor

    def __init__(
        self, labels: SceneLabels, size: Sequence[int] = (64, 64), bandwidth: float = 0.1, most: int = 4096
    ) -> None:
        super().__init__()
        self.size, self.bandwidth = (size[0], size[1]), bandwidth
        seen = labels.points.isfinite().all(-1)
        centres, points = (
            box_centres(labels.head_bbox)[:, None].expand(-1, seen.shape[1], -1)[seen],
            labels.points[seen],
        )
        # Evenly: labels are in the order of their paths, which may be that of shows or places.
        chosen = torch.linspace(0, len(points) - 1, min(most, len(points)), dtype=torch.float64).long()
        self.register_buffer("centres", centres[chosen])
        self.register_buffer("offsets", (points - centres)[chosen])

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        h, w = self.size
        centre = box_centres(inputs.head_bbox)
        weight = torch.softmax(-0.5 * (torch.cdist(centre, self.centres) / self.bandwidth) ** 2, dim=-1)
        cell = (centre[:, None] + self.offsets) * torch.tensor([w, h], device=centre.device)
        x, y = cell.floor().long().unbind(-1)
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        counts = torch.zeros(len(centre), h * w, device=centre.device)
        counts.scatter_add_(1, torch.where(inside, y * w + x, 0), weight * inside)
        return _predict(_smooth(counts.unflatten(1, (h, w))))


def _smooth(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    reach = int(3 * SIGMA)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=maps.device) / SIGMA) ** 2)
    maps = F.conv2d(maps[:, None], kernel.view(1, 1, 1, -1), padding=(0, reach))
    return F.conv2d(maps, kernel.view(1, 1, -1, 1), padding=(reach, 0))[:, 0]


def _predict(heatmap: Float[Tensor, "n h w"]) -> ScenePrediction:
    """The maps as logits, and no opinion on who looks out of the frame."""
    logits = torch.logit(heatmap / heatmap.amax((-2, -1), keepdim=True).clamp(min=1e-12), eps=1e-6)
    return ScenePrediction(logits, torch.zeros(len(heatmap), device=heatmap.device))
