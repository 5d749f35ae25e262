"""How near rendered heads are to photographs, pixel by pixel."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from gaze.head_regions import eyes_mask, on_white, region_mask
from gaze.metrics.means import Means
from gaze.structural_similarity import SIDE, structural_similarity, viewed
from gaze.types import FacePrediction, FaceTargets

TINY = 1e-8  # added to the squared error, as in the library that GazeGaussian's figures come from: 80 dB at most


class ImageQuality(Means):
    """``psnr`` and ``psnr_eyes`` (dB), ``ssim_score`` and ``l1`` of rendered pictures against heads on white; means over them.

    The prediction is clipped to [0, 1] and not masked: what is drawn outside of the head counts. All are over the whole
    picture, as published (GazeGaussian's section 4.1), but for ``psnr_eyes``, over the pixels of both eyes; pictures
    without an eye don't count for it. ``ssim_score`` is over windows that lie within the picture, seen at about 256 px;
    NaN for pictures smaller than a window. It is not called ssim, as that is a loss, whose validation it would replace.
    """

    def __init__(self) -> None:
        super().__init__(("psnr", "ssim_score", "l1", "psnr_eyes"))

    def update(self, prediction: FacePrediction, targets: FaceTargets) -> None:
        """Add a batch."""
        found, truth = prediction.image.clamp(0, 1), on_white(targets.image, region_mask(targets, "head"))
        error = found - truth
        self.add("psnr", decibels(error.square().mean((1, 2, 3))))
        self.add("l1", error.abs().mean((1, 2, 3)))
        if min(truth.shape[-2:]) >= SIDE:
            self.add("ssim_score", structural_similarity(viewed(found), viewed(truth), padded=False))
        eyes = eyes_mask(targets)
        if eyes is not None:
            self.add("psnr_eyes", decibels(mean_over(error.square(), eyes)), eyes.any(-1).any(-1))


def decibels(square: Float[Tensor, "b"]) -> Float[Tensor, "b"]:
    """Peak signal-to-noise ratios of pictures in [0, 1], of their mean squared errors."""
    return -10 * (square + TINY).log10()


def mean_over(value: Float[Tensor, "b c H W"], mask: Bool[Tensor, "b H W"]) -> Float[Tensor, "b"]:
    """The mean of each picture over the pixels of its mask and all channels; 0 where it has none."""
    inside = (value.mean(1) * mask).sum((-2, -1))
    return inside / mask.sum((-2, -1)).clamp(min=1)
