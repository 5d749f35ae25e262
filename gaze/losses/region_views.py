"""What is compared of a region of a head: the pictures that a model draws of it, and the photograph on white."""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor

from gaze.head_regions import on_white, region_mask
from gaze.heatmaps import check_mode
from gaze.types import FacePrediction, FaceTargets

Pictures = Literal["both", "refined", "raw"]
FIELDS = {"head": ("image", "raw"), "face": ("face", "face_raw"), "eyes": ("eyes", "eyes_raw")}  # refined, raw


class RegionViews(NamedTuple):
    """One region, drawn and photographed."""

    found: list[Float[Tensor, "b 3 H W"]]  # refined, raw, or one of them
    truth: Float[Tensor, "b 3 H W"]


class Viewer:
    """Finds the pictures of regions in a prediction.

    Raw pictures are cut out by the mask before they are compared, so what they hold outside does not count. Refined ones
    are not, unless `masked`: the renderer is to learn that there is white, as in GazeGaussian's code.

    Args:
        pictures: which to compare.
        masked: see above.
        name: of the loss, for messages.

    Raises:
        ValueError: `pictures` is unknown.
    """

    def __init__(self, pictures: str, masked: bool, name: str) -> None:
        check_mode(pictures, Pictures, f"loss.{name}.pictures")
        self.pictures, self.masked, self.name = pictures, masked, name

    def __call__(self, prediction: FacePrediction, targets: FaceTargets, region: str, training: bool) -> RegionViews:
        """The pictures of one region. What the model leaves out of them is skipped.

        Models draw face and eyes by themselves in training only. In validation the region is cut out of the whole head
        instead.

        Raises:
            ValueError: the model draws none of them.
        """
        mask = region_mask(targets, region)
        refined, raw = (getattr(prediction, field) for field in FIELDS[region])
        cut = self.masked
        if refined is None and raw is None and not training:
            refined, raw, cut = prediction.image, prediction.raw, True
        found = []
        if refined is not None and self.pictures != "raw":
            found.append(on_white(refined, mask) if cut else refined)
        if raw is not None and self.pictures != "refined":
            found.append(on_white(raw, mask))
        if not found:
            wanted = " and ".join(FIELDS[region]) if self.pictures == "both" else FIELDS[region][self.pictures == "raw"]
            raise ValueError(
                f"loss.{self.name} compares pictures of the {region}, and the model draws none: expected {wanted} in its "
                "prediction; choose a model that draws them, set `pictures`, or take the loss or the region out"
            )
        return RegionViews(found, on_white(targets.image, mask))
