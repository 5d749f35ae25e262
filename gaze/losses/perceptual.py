"""Likeness of rendered pictures as a frozen network sees it: VGG's LPIPS, or the features of another run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.losses.image import ALL, checked_regions
from gaze.losses.loss import Loss
from gaze.losses.region_views import RegionViews, Viewer
from gaze.perceptual.network import PerceptualNetwork, frozen, resized
from gaze.schedules import Schedule
from gaze.types import Batch, FacePrediction, Progress


class Perceptual(Loss):
    """Perceptual distances to the photograph, added up over regions, and their refined and raw pictures.

    It is what most of a step costs at 512 px, so the features of a photograph are computed once for each region, without
    a gradient. All photographs go through the network together, and so do all pictures that are compared with them.

    Args:
        network: what compares.
        regions: some of head, face and eyes.
        pictures, masked: as in `gaze.losses.image.RegionL1`.
        size: (height, width) px that pictures are resized to first; None: as they are, or as the network wants them.
        amp: run the network in bfloat16.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: a setting is unknown; later, the model draws no picture of a region.
    """

    def __init__(
        self,
        network: PerceptualNetwork,
        regions: Sequence[str] = ALL,
        pictures: str = "both",
        masked: bool = False,
        size: Sequence[int] | None = None,
        amp: bool = False,
        weight: float | Schedule = 0.1,
    ) -> None:
        super().__init__(weight)
        self.network: Any = frozen(network)
        self.title = network.title
        self.regions = checked_regions(regions, "perceptual")
        self.viewer = Viewer(pictures, masked, "perceptual")
        self.size, self.amp = size, amp

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        views = [self.viewer(prediction, batch.targets, region, self.training) for region in self.regions]
        with torch.no_grad():
            truths = self._split(torch.cat([view.truth for view in views]), len(views))
        pictures = self._split(torch.cat([picture for view in views for picture in view.found]), sum(map(_many, views)))
        total = prediction.image.new_zeros(())
        for view, truth in zip(views, truths, strict=True):
            for _ in view.found:
                total = total + self.network.distance(pictures.pop(0), truth).mean()
        return total

    def _split(self, image: Float[Tensor, "b 3 H W"], parts: int) -> list[tuple[Float[Tensor, "_ _ _ _"], ...]]:
        """The features of so many batches that are one behind the other, from one pass."""
        return list(zip(*(level.chunk(parts) for level in self._features(image)), strict=True))

    def _features(self, image: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _ _ _"]]:
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.amp):
            features: list[Tensor] = self.network(resized(image, self.size))
        return features


def _many(view: RegionViews) -> int:
    return len(view.found)
