"""How alike rendered heads and photographs look to a network."""

from __future__ import annotations

from collections.abc import Sequence

from gaze.head_regions import on_white, region_mask
from gaze.metrics.means import Means
from gaze.perceptual.network import PerceptualNetwork, frozen, resized
from gaze.types import FacePrediction, FaceTargets


class LPIPS(Means):
    """``lpips``, the perceptual distance of the whole picture to the head on white: the mean over pictures.

    Args:
        network: what compares; only `gaze.perceptual.vgg_lpips.VGGLPIPS` gives figures that compare with published ones.
        size: (height, width) px that pictures are resized to first; None: as they are.
        name: of the figure; give another network another one.
    """

    def __init__(self, network: PerceptualNetwork, size: Sequence[int] | None = None, name: str = "lpips") -> None:
        super().__init__((name,))
        self.network, self.size = frozen(network), size

    def update(self, prediction: FacePrediction, targets: FaceTargets) -> None:
        """Add a batch."""
        truth = on_white(targets.image, region_mask(targets, "head"))
        found, wanted = (self.network(resized(image, self.size)) for image in (prediction.image.clamp(0, 1), truth))
        self.add(self.names[0], self.network.distance(found, wanted))
