"""The normalisations of a backbone's input, so that no transform has to travel with a model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalize(nn.Module):
    """RGB images in [0, 1] to the mean and spread that a backbone was trained with.

    The two constants belong to the class of the backbone, not to its weights: they are in no checkpoint.
    """

    channels = 3
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 3 H W"]:
        return (image - self.mean) / self.std


class Standardize(nn.Module):
    """RGB images in [0, 1] as grey levels about each image's own mean, in units of its own spread.

    What is left of a small crop of an eye is its shape: skin, lamp and exposure differ more between a dozen people
    than where they look, and a network without much data learns them instead.

    Args:
        least: added to the spread, of the range from black to white, so that an image of one colour stays finite.
    """

    channels = 1

    def __init__(self, least: float = 0.02) -> None:
        super().__init__()
        self.least = least

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b 1 H W"]:
        grey = image.mean(1, keepdim=True)
        centred = grey - grey.mean((-2, -1), keepdim=True)
        return centred / (centred.square().mean((-2, -1), keepdim=True).sqrt() + self.least)
