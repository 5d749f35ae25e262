"""What the inputs and outputs of an exported scene model are called, and how a scene is put into them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.export import Dim

from gaze.types import SceneInputs, ScenePrediction


class Naming(ABC):
    """One way to call a scene model from outside; the module it makes holds the pre-processing, too.

    Outputs are always ``heatmap`` and, of models that have it, ``inout``: probabilities.
    """

    describes: str  # the inputs, for whoever opens the file

    @abstractmethod
    def graph(self, model: nn.Module) -> nn.Module:
        """`model` behind the inputs of this naming; its forward's arguments have their names."""

    @abstractmethod
    def dynamic(self) -> dict[str, dict[int, Any]]:
        """For each input which axes may have any size."""

    @abstractmethod
    def pack(self, scene: SceneInputs) -> tuple[dict[str, Tensor], Int[Tensor, "n"]]:
        """The inputs for a scene of uint8 pictures, and the row of the outputs that answers for each of its heads."""


class Gaze(Naming):
    """Our names: packed people, as everywhere in this package."""

    describes = (
        "image: uint8 RGB [images, 3, H, W]. head_bbox: float32 [people, 4], x0 y0 x1 y1 as fractions of the image; "
        "NaN asks about whoever is in it. image_index: int64 [people], the image of each head"
    )

    def graph(self, model: nn.Module) -> nn.Module:
        return _GazeGraph(model)

    def dynamic(self) -> dict[str, dict[int, Any]]:
        people = Dim("people")
        return {"image": {0: Dim("images")}, "head_bbox": {0: people}, "image_index": {0: people}}

    def pack(self, scene: SceneInputs) -> tuple[dict[str, Tensor], Int[Tensor, "n"]]:
        named = {"image": scene.image, "head_bbox": scene.head_bbox, "image_index": scene.image_index}
        return named, torch.arange(len(scene.head_bbox))


class Pinto(Naming):
    """The names of PINTO0309's gazelle-dinov3, so that programs around its files take ours.

    Two things are better than there: any number of pictures (each with as many boxes; there it is one),
    and the final resize, which is nearest in its files and moves the peak by 0.4 cells.
    """

    describes = (
        "image_bgr: float32 BGR, 0 to 255 [images, 3, H, W]. bboxes_x1y1x2y2: float32 [images, heads, 4], fractions of "
        "the image; NaN asks about whoever is in it. Outputs have images x heads rows"
    )

    def graph(self, model: nn.Module) -> nn.Module:
        return _PintoGraph(model)

    def dynamic(self) -> dict[str, dict[int, Any]]:
        images = Dim("images")
        return {"image_bgr": {0: images}, "bboxes_x1y1x2y2": {0: images, 1: Dim("heads")}}

    def pack(self, scene: SceneInputs) -> tuple[dict[str, Tensor], Int[Tensor, "n"]]:
        mine = [(scene.image_index == i).nonzero().flatten() for i in range(len(scene.image))]
        most = max(len(heads) for heads in mine)
        boxes = torch.full((len(mine), most, 4), torch.nan)  # the fewer heads of other pictures are filled up
        rows = torch.empty_like(scene.image_index)
        for i, heads in enumerate(mine):
            boxes[i, : len(heads)] = scene.head_bbox[heads]
            rows[heads] = i * most + torch.arange(len(heads))
        return {"image_bgr": scene.image.flip(1).float(), "bboxes_x1y1x2y2": boxes}, rows


NAMINGS: dict[str, Naming] = {"gaze": Gaze(), "pinto": Pinto()}


class _GazeGraph(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, image: UInt8[Tensor, "b 3 H W"], head_bbox: Float[Tensor, "n 4"], image_index: Int[Tensor, "n"]
    ) -> dict[str, Tensor]:
        return probabilities(self.model(SceneInputs(image.float() / 255, head_bbox, image_index)))


class _PintoGraph(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, image_bgr: Float[Tensor, "b 3 H W"], bboxes_x1y1x2y2: Float[Tensor, "b heads 4"]
    ) -> dict[str, Tensor]:
        pictures, heads = bboxes_x1y1x2y2.shape[:2]
        index = torch.arange(pictures, device=image_bgr.device)[:, None].expand(pictures, heads).flatten()
        boxes = rearrange(bboxes_x1y1x2y2, "b heads k -> (b heads) k")
        return probabilities(self.model(SceneInputs(image_bgr.flip(1) / 255, boxes, index)))


def probabilities(prediction: ScenePrediction) -> dict[str, Tensor]:
    """A prediction as an exported file gives it: by name, and as probabilities."""
    named = {"heatmap": prediction.heatmap.sigmoid()}
    return named if prediction.inout is None else named | {"inout": prediction.inout.sigmoid()}
