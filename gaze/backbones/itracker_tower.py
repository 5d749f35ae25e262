"""The convolutional tower of classic iTracker."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.backbones.response_norm import ResponseNorm


class ITrackerTower(nn.Module):
    """Four convolutions after AlexNet (Krafka et al., CVPR 2016): a crop of 224 px becomes 64 maps of 12 x 12.

    The first convolution has no padding, so the map is not a fixed fraction of the crop; hence no `stride`.

    Args:
        mean_image: height and width of a mean image to subtract, which the callback `mean_images` computes from the
            training split and the weights then hold; null: the middle grey is subtracted.
        white: the value of white, 255 in the published Caffe model, whose first weights are meant for that.
        caffe: weights drawn as there: spread 0.01, biases 0.
    """

    stride = None

    def __init__(self, mean_image: Sequence[int] | None = None, white: float = 255.0, caffe: bool = True) -> None:
        super().__init__()
        self.white = white
        self.mean = MeanImage(mean_image or (1, 1))
        self.layers = nn.Sequential(
            *_pooled(nn.Conv2d(3, 96, 11, stride=4)),
            *_pooled(nn.Conv2d(96, 256, 5, padding=2, groups=2)),
            *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 64, 1), nn.ReLU()),
        )
        self.channels = 64
        if caffe:
            for module in self.layers:
                if isinstance(module, nn.Conv2d):
                    nn.init.normal_(module.weight, std=0.01)
                    nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]."""
        return self.layers(self.white * self.mean(image))

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters, convolution by convolution."""
        return [list(layer.parameters()) for layer in self.layers if isinstance(layer, nn.Conv2d)]


class MeanImage(nn.Module):
    """Subtracts the mean of the training images, pixel by pixel. It is saved with the weights, so that it can't get lost.

    Args:
        size: height and width, of the images too; 1 x 1 takes images of any size.
    """

    image: Tensor

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        height, width = size
        self.whole = (height, width) != (1, 1)
        self.register_buffer("image", torch.full((3, height, width), 0.5))

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        if self.whole and image.shape[1:] != self.image.shape:
            raise ValueError(
                f"an image of {tuple(image.shape[-2:])} px and a mean image of {tuple(self.image.shape[-2:])}; expected "
                "the same: set mean_image of the trunk to the size of its crops"
            )
        return image - self.image


def _pooled(convolution: nn.Conv2d) -> list[nn.Module]:
    """A convolution, and AlexNet's pooling and normalisation across channels behind it.

    What is below zero is cut off after the pooling, which says the same as before it, of a quarter of the cells.
    """
    return [convolution, nn.MaxPool2d(3, 2), nn.ReLU(), ResponseNorm(convolution.out_channels)]
