"""The point of gaze as the mean of a heatmap over the screen's plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heads.point import Standard, perceptron
from gaze.types import ScreenInputs, ScreenPrediction


class PointHeatmapHead(nn.Module):
    """Logits over a grid of cells of the camera's plane; the point is the mean of their centres (soft-argmax).

    Args:
        channels: of the features.
        hidden: widths of the layers before the last.
        activation: makes what follows each of these layers.
        dropout: after each activation.
        cells: (rows, columns) of the grid. A cell should be no larger than the loss's Gaussian, a centimetre or so.
        extent_cm: (x0, y0, x1, y1) of the grid, x0 its left edge and y0 its upper one, so y0 > y1. None: `spreads`
            standard deviations of the training split's points to each side of their mean.
        spreads: see there. Uniform points reach 1.7, those of phones held in every way about 2.5.

    Raises:
        ValueError: the extent is empty or upside down.
    """

    extent: Tensor
    across: Tensor
    down: Tensor
    corner: Tensor

    def __init__(
        self,
        channels: int,
        hidden: Sequence[int] = (128,),
        activation: Callable[[], nn.Module] = nn.ReLU,
        dropout: float = 0.0,
        cells: Sequence[int] = (40, 40),
        extent_cm: Sequence[float] | None = None,
        spreads: float = 3.0,
    ) -> None:
        super().__init__()
        if extent_cm is not None and not (extent_cm[0] < extent_cm[2] and extent_cm[3] < extent_cm[1]):
            raise ValueError(
                f"head.extent_cm is {list(extent_cm)}; expected x0, y0, x1, y1 in cm with x0 < x1 and, y being up, y0 > y1"
            )
        self.hidden = perceptron(channels, hidden, activation, dropout)
        self.rows, columns = cells
        self.cells = nn.Linear([channels, *hidden][-1], self.rows * columns)
        # Fractions of the grid at the centres of its columns and rows
        self.register_buffer("across", (torch.arange(columns) + 0.5) / columns, persistent=False)
        self.register_buffer("down", (torch.arange(self.rows) + 0.5) / self.rows, persistent=False)
        self.fixed = extent_cm is not None
        self.register_buffer("extent", torch.tensor([float(e) for e in extent_cm or (0, 0, 0, 0)]), persistent=False)
        self.register_buffer("corner", spreads * torch.tensor([-1.0, 1.0, 1.0, -1.0]), persistent=False)
        self.standard = Standard()

    def forward(self, features: Float[Tensor, "b c"], inputs: ScreenInputs) -> ScreenPrediction:
        found = self.hidden(features)
        heatmap = rearrange(self.cells(found), "b (h w) -> b h w", h=self.rows)
        share = heatmap.flatten(1).softmax(1).unflatten(1, (self.rows, -1))
        grid = self.grid_cm()
        x = grid[0] + (grid[2] - grid[0]) * (share.sum(1) * self.across).sum(1)
        y = grid[1] + (grid[3] - grid[1]) * (share.sum(2) * self.down).sum(1)
        point = torch.stack([x, y], 1)
        return ScreenPrediction(
            point, self.standard.units(point), found, heatmap=heatmap, grid_cm=grid.expand(point.shape[0], 4)
        )

    def grid_cm(self) -> Float[Tensor, "4"]:
        """What the grid covers: x0, y0, x1, y1 in cm."""
        if self.fixed:
            return self.extent
        return self.standard.mean_cm.repeat(2) + self.corner * self.standard.unit_cm.repeat(2)
