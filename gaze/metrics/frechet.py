"""How alike the pictures that a model renders and photographs are as two heaps, whichever belongs to which (FID)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchmetrics import Metric

from gaze.head_regions import on_white, region_mask
from gaze.types import FacePrediction, FaceTargets


class FrechetDistance(Metric):
    """``fid``: the Fréchet distance between Gaussians fitted to features of rendered and of real heads (Heusel et al. 2017).

    With the features of `gaze.perceptual.inception.Inception` it is the published FID. NaN below two pictures; with
    fewer pictures than features it is finite, and larger than it would be with more.

    Only sums are kept, not features: two matrices in double precision, 67 MB with 2048 features.

    Args:
        network: pictures in [0, 1] to `features` numbers each.
    """

    full_state_update = False
    count: Tensor
    totals: Tensor
    products: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network
        width: int = network.features  # type: ignore[assignment]
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("totals", torch.zeros(2, width, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("products", torch.zeros(2, width, width, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: FacePrediction, targets: FaceTargets) -> None:
        """Add a batch."""
        truth = on_white(targets.image, region_mask(targets, "head"))
        for i, image in enumerate((prediction.image.clamp(0, 1), truth)):
            features = self.network(image).double()
            self.totals[i] += features.sum(0)
            self.products[i] += features.mT @ features
        self.count += len(truth)

    def compute(self) -> dict[str, Tensor]:
        if self.count < 2:
            return {"fid": self.count.new_full((), torch.nan)}
        means = self.totals / self.count
        spreads = (self.products - self.count * means[:, :, None] * means[:, None]) / (self.count - 1)
        return {"fid": frechet_distance(means[0], spreads[0], means[1], spreads[1])}


def frechet_distance(
    mean: Float[Tensor, "f"],
    covariance: Float[Tensor, "f f"],
    other_mean: Float[Tensor, "f"],
    other_covariance: Float[Tensor, "f f"],
) -> Float[Tensor, ""]:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), by the eigenvalues of C^(1/2) C' C^(1/2), which are those of C C'."""
    if not (covariance.isfinite().all() and other_covariance.isfinite().all()):  # of which eigh would make an error
        return mean.new_full((), torch.nan)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    both = torch.linalg.eigvalsh(root @ other_covariance @ root).clamp(min=0).sqrt().sum()
    return (mean - other_mean).square().sum() + covariance.trace() + other_covariance.trace() - 2 * both
