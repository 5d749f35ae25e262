"""A hierarchical hybrid: the first stages of a convolutional network, the last ones of a Swin transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.timm_features import without_classifier
from gaze.backbones.weights import load_weights


class SwinStages(nn.Module):
    """Maps of stride 8 from another backbone, which stages 3 and 4 of a Swin V2 take to stride 32.

    Args:
        stem: gives the maps of stride 8, and normalises its images.
        image_size: (height, width) of the crops, px: the windows and their masks are made for this size.
        name: timm's name of the Swin V2, whose own first stages are left out.
        weights: of the Swin V2: None, ``pretrained``, a file of timm's layout or its address.

    Raises:
        ValueError: the stem has another stride, or the size is no multiple of 32, or the weights don't fit.
        UserError, FileNotFoundError: the weights can't be had.
    """

    stride = 32

    def __init__(
        self,
        stem: nn.Module,
        image_size: Sequence[int] = (256, 256),
        name: str = "swinv2_tiny_window8_256",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if not name.startswith("swinv2_") or not timm.is_model(name):
            raise ValueError(
                f"backbone.name is {name!r}; expected one of {', '.join(timm.list_models('swinv2_*window*'))}"
            )
        if stem.stride != 8:
            raise ValueError(
                f"backbone.stem has the stride {stem.stride}; expected 8, what stage 3 of a Swin goes on with"
            )
        if len(image_size) != 2 or any(side % self.stride for side in image_size):
            raise ValueError(
                f"backbone.image_size is {list(image_size)}; expected height and width, multiples of 32 px"
            )
        self.image_size = (image_size[0], image_size[1])
        whole: Any = timm.create_model(name, num_classes=0, img_size=self.image_size)
        if weights is not None:
            convert = lambda state: without_classifier(state, whole)  # noqa: E731
            load_weights(whole, name, weights, convert, img_size=self.image_size)
        channels: Any = stem.channels
        self.stem = stem
        self.project = nn.Conv2d(channels, whole.feature_info[1]["num_chs"], 1)
        self.stages = nn.Sequential(whole.layers[2], whole.layers[3])
        self.norm = whole.norm
        self.channels: int = whole.num_features

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1], of the size that the windows were made for."""
        if tuple(image.shape[-2:]) != self.image_size:
            raise ValueError(
                f"an image of {image.shape[-2]} x {image.shape[-1]} px; expected {self.image_size[0]} x "
                f"{self.image_size[1]}, multiples of 32 both: set backbone.image_size, or the size of the crops"
            )
        maps = rearrange(self.project(self.stem(image)), "b c h w -> b h w c")  # Swin keeps its channels last
        return rearrange(self.norm(self.stages(maps)), "b h w c -> b c h w")

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters: those of the stem, then the projection, then block by block."""
        stem: Any = self.stem
        stages: Any = self.stages
        parts = [part for stage in stages for part in (stage.downsample, *stage.blocks)]
        rest = [list(part.parameters()) for part in (self.project, *parts, self.norm)]
        return [*stem.blocks(), *rest]
