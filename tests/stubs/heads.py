"""Scenes of two sizes with one to three heads, and a model that guesses from the head alone: no pictures needed."""

from __future__ import annotations

import torch
from torch import nn

from gaze.datasets.dataset import Dataset
from gaze.geometry import box_centres
from gaze.heatmaps import gaussian_targets
from gaze.types import Batch, SceneInputs, ScenePrediction, SceneTargets

SIZES = ((24, 32), (30, 20))  # height, width of the originals
MAP = 16


class Heads(Dataset):
    """Picture i has 1 + i % 3 heads; about a quarter of all look out of it."""

    def __init__(self, split: str = "test", pictures: int = 12, seed: int = 0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.scenes = []
        for i in range(pictures):
            n = 1 + i % 3
            corner = 0.6 * torch.rand(n, 2, generator=draw)
            bbox = torch.cat([corner, corner + 0.1 + 0.2 * torch.rand(n, 2, generator=draw)], 1)
            inout = (torch.rand(n, generator=draw) < 0.75).float()
            points = torch.rand(n, 2, 2, generator=draw)
            points[0, 1] = torch.nan  # one annotator less
            points[inout == 0] = torch.nan
            size = torch.tensor(SIZES[i % 2]).expand(n, 2).clone()
            self.scenes.append((SceneInputs(torch.full((3, 8, 8), 100, dtype=torch.uint8), bbox, torch.zeros(n).long()),
                                SceneTargets(points, inout, size)))  # fmt: skip

    def __len__(self) -> int:
        return len(self.scenes)

    def sample(self, index: int, generator: torch.Generator | None) -> Batch:
        inputs, targets = self.scenes[index]
        return Batch(inputs, targets, torch.tensor(index))

    def name(self, index: int) -> str:
        return f"room/{index:02d}.png"


class Guess(nn.Module):
    """Everybody looks down and right, and those high up into the picture; `break_at` (x0 of a head) makes NaN.

    `calls` counts the batches that were asked about.
    """

    def __init__(self, break_at: float = -1.0) -> None:
        super().__init__()
        self.break_at, self.calls = break_at, 0

    def forward(self, inputs: SceneInputs) -> ScenePrediction:
        self.calls += 1
        point = (box_centres(inputs.head_bbox) + 0.15).clamp(0, 1)
        maps = torch.logit(gaussian_targets(point[:, None], (MAP, MAP), 2.0), eps=1e-6)
        broken = (inputs.head_bbox[:, 0] - self.break_at).abs() < 1e-6
        return ScenePrediction(
            maps.masked_fill(broken[:, None, None], torch.nan),
            (0.5 - inputs.head_bbox[:, 1]).masked_fill(broken, torch.nan),
        )
