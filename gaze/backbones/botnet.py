"""BoTNet as the ETH-XGaze challenge's winners used it: a short ResNet, then bottlenecks that attend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
from jaxtyping import Float
from timm.layers.bottleneck_attn import BottleneckAttn
from torch import Tensor, nn

from gaze.backbones.normalization import Normalize
from gaze.backbones.weights import load_weights


class BoTNet(nn.Module):
    """Stem and first stage of a ResNet-50, then bottlenecks with global attention for their 3 x 3 convolution.

    Srinivas et al., CVPR 2021, in the form of arXiv 2107.01980: attention already on the map of stride 4, whose cells
    are compared by content and by relative position; the first of the bottlenecks halves the map.

    Args:
        image_size: (height, width) of the crops, px: the relative positions are learned for this size.
        weights: of the ResNet-50, of which the first stage is kept: None, ``pretrained``, a file or its address.
        width: of the maps that the bottlenecks give.
        blocks: how many.
        heads: of their attention.
        head_width: of each head.

    Raises:
        ValueError: the weights don't fit, or the size is no multiple of 8.
        UserError, FileNotFoundError: the weights can't be had.
    """

    stride = 8

    def __init__(
        self,
        image_size: Sequence[int] = (224, 224),
        weights: str | None = None,
        width: int = 512,
        blocks: int = 3,
        heads: int = 4,
        head_width: int = 128,
    ) -> None:
        super().__init__()
        if len(image_size) != 2 or any(side % self.stride for side in image_size):
            raise ValueError(f"backbone.image_size is {list(image_size)}; expected height and width, multiples of 8 px")
        resnet: Any = timm.create_model("resnet50", num_classes=0)
        if weights is not None:
            load_weights(resnet, "resnet50", weights, lambda state: {k: v for k, v in state.items() if k[:3] != "fc."})
        self.stem = nn.Sequential(resnet.conv1, resnet.bn1, resnet.act1, resnet.maxpool)
        self.stage = resnet.layer1
        size = (image_size[0] // 4, image_size[1] // 4)
        halved = (size[0] // 2, size[1] // 2)
        self.attention = nn.Sequential(
            *[
                Bottleneck(width if i else 256, width, halved if i else size, heads, head_width, halve=not i)
                for i in range(blocks)
            ]
        )
        self.image_size = tuple(image_size)
        self.channels = width
        self.normalize = Normalize()

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1], of the size that the positions were made for."""
        if tuple(image.shape[-2:]) != self.image_size:
            raise ValueError(
                f"an image of {image.shape[-2]} x {image.shape[-1]} px; expected {self.image_size[0]} x "
                f"{self.image_size[1]}, multiples of 8 both: set backbone.image_size, or dataset.face_size"
            )
        return self.attention(self.stage(self.stem(self.normalize(image))))

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters: the stem, the blocks of the stage, the bottlenecks."""
        return [list(part.parameters()) for part in (self.stem, *self.stage, *self.attention)]


class Bottleneck(nn.Module):
    """1 x 1 convolution, attention of all cells to all, 1 x 1 convolution; a residual around them."""

    def __init__(
        self, channels: int, width: int, size: tuple[int, int], heads: int, head_width: int, halve: bool
    ) -> None:
        super().__init__()
        inner = width // 4
        self.layers = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
            BottleneckAttn(
                inner, heads * head_width, size, stride=2 if halve else 1, num_heads=heads, dim_head=head_width
            ),
            nn.BatchNorm2d(heads * head_width),
            nn.ReLU(),
            nn.Conv2d(heads * head_width, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]  # a block starts as its shortcut
        self.shortcut: nn.Module = nn.Identity()
        if halve or channels != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, width, 1, 2 if halve else 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
            )
        self.activation = nn.ReLU()

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        return self.activation(self.layers(features) + self.shortcut(features))
