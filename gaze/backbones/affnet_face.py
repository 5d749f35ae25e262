"""The face tower of AFF-Net, and the channel weights that its towers share."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Weights channels by what all of the map says (Hu et al., CVPR 2018), to a sixteenth and back."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.LeakyReLU(),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, maps: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return maps * self.layers(maps.mean((-2, -1)))[:, :, None, None]


class AFFNetFace(nn.Module):
    """Six convolutions with group norms (Bao et al., ICPR 2020): a face of 224 px becomes 64 maps of 5 x 5.

    Most convolutions have no padding, so the map is not a fixed fraction of the crop; hence no `stride`. Images are
    not normalised, as there.
    """

    stride = None

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _layer(3, 48, 5, 6, stride=2),
            _layer(48, 96, 5, 12),
            nn.MaxPool2d(3, 2),
            _layer(96, 128, 5, 16, padding=2),
            nn.MaxPool2d(3, 2),
            nn.Sequential(_layer(128, 192, 3, 16, padding=1), SqueezeExcite(192)),
            nn.Sequential(_layer(192, 128, 3, 16, stride=2), SqueezeExcite(128)),
            nn.Sequential(_layer(128, 64, 3, 8, stride=2), SqueezeExcite(64)),
        )
        self.channels = 64

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b c h w"]:
        """Features of RGB images in [0, 1]."""
        return self.layers(image)

    def blocks(self) -> list[list[nn.Parameter]]:
        """All parameters, convolution by convolution."""
        return [parameters for layer in self.layers if (parameters := list(layer.parameters()))]


def _layer(before: int, width: int, kernel: int, groups: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, width, kernel, stride, padding), nn.GroupNorm(groups, width), nn.ReLU())
