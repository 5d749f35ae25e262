"""Losses of rendered pictures, pixel by pixel or window by window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.head_regions import Region, mean_inside, region_mask
from gaze.heatmaps import check_mode
from gaze.losses.loss import Loss
from gaze.losses.region_views import Viewer
from gaze.schedules import Schedule
from gaze.structural_similarity import structural_similarity
from gaze.types import Batch, FacePrediction, Progress

ALL = ("head", "face", "eyes")


class RegionL1(Loss):
    """Mean absolute difference over all pixels of a region on white, of its refined and its raw picture added up.

    GazeGaussian's (Wei et al. 2025), whose six terms are three of these.

    Args:
        region: head, face (the head without its eyes) or eyes.
        pictures: compare `refined` pictures, `raw` ones or `both`.
        masked: cut the region out of refined pictures, too, so that what they hold elsewhere does not count.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: region or `pictures` is unknown; later, the model draws no such picture.
    """

    title = "L1 Loss"

    def __init__(
        self, region: str = "head", pictures: str = "both", masked: bool = False, weight: float | Schedule = 1.0
    ) -> None:
        super().__init__(weight)
        check_mode(region, Region, "region")
        self.region = region
        self.viewer = Viewer(pictures, masked, f"l1_{region}")

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        views = self.viewer(prediction, batch.targets, self.region, self.training)
        return torch.stack([(found - views.truth).abs().mean() for found in views.found]).sum()


class EyeRegionL1(Loss):
    """Mean absolute difference over the pixels of the eyes in the picture of the whole head.

    Eyes are a hundredth of a picture, so a mean over all of it hardly sees them.
    """

    title = "L1 Loss"

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        error = (prediction.image - batch.targets.image).abs()
        return mean_inside(error, region_mask(batch.targets, "eyes"))


class SSIM(Loss):
    """1 - SSIM, added up over regions on white, and their refined and raw pictures.

    Args:
        regions: some of head, face and eyes.
        pictures, masked: as in `RegionL1`.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: a region or `pictures` is unknown; later, the model draws no picture of a region.
    """

    title = "SSIM Loss"

    def __init__(
        self,
        regions: Sequence[str] = ALL,
        pictures: str = "both",
        masked: bool = False,
        weight: float | Schedule = 0.1,
    ) -> None:
        super().__init__(weight)
        self.regions = checked_regions(regions, "ssim")
        self.viewer = Viewer(pictures, masked, "ssim")

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        found, truth = [], []
        for region in self.regions:
            views = self.viewer(prediction, batch.targets, region, self.training)
            found += views.found
            truth += [views.truth] * len(views.found)
        likeness = structural_similarity(torch.cat(found), torch.cat(truth))
        return len(found) * (1 - likeness.mean())


def checked_regions(regions: Sequence[str], name: str) -> list[str]:
    """The regions.

    Raises:
        ValueError: there are none, one is there twice, or one is unknown.
    """
    for region in regions:
        check_mode(region, Region, f"loss.{name}.regions")
    if not regions or len({*regions}) < len(regions):
        raise ValueError(f"loss.{name}.regions is {list(regions)}; expected some of {', '.join(ALL)}, each once")
    return list(regions)
