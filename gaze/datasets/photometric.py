"""Photometric augmentation of scenes: other colours, the same labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.datasets.later import PixelChange, alone
from gaze.datasets.pixel_batches import contrasted, hued, only, saturated
from gaze.datasets.scene import Scene, probable

_ORDERS = tuple(permutations(range(3)))  # of the channels; the first is as they are


class PhotometricDistort(PixelChange):
    """Brightness, contrast, saturation and hue, each changed at random (the recipe of SSD, Liu et al. 2016).

    Contrast comes first or last, with equal chance. GazeLLE has no such step. Its DINOv3 successor has
    it at probability 1 with these ranges, and there it also permutes the channels of every image at
    random, which swaps colours in five images of six: `permute_channels` reproduces that, and is off.

    Args:
        brightness: the factor is drawn from 1 - brightness to 1 + brightness.
        contrast: likewise.
        saturation: likewise.
        hue: the shift is drawn from -hue to hue, in turns of the colour wheel; at most 0.5.
        probability: of each of the changes.
        permute_channels: whether red, green and blue are exchanged at random as well.
    """

    count: ClassVar[int] = 6

    def __init__(
        self,
        brightness: float = 0.125,
        contrast: float = 0.5,
        saturation: float = 0.5,
        hue: float = 0.05,
        probability: float = 0.5,
        permute_channels: bool = False,
    ) -> None:
        for name, value, limit in (
            ("brightness", brightness, 1.0),
            ("contrast", contrast, 1.0),
            ("saturation", saturation, 1.0),
            ("hue", hue, 0.5),
        ):
            if not 0.0 <= value <= limit:
                raise ValueError(f"PhotometricDistort.{name} is {value}; expected a number from 0 to {limit}")
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.probability = probable("PhotometricDistort.probability", probability)
        self.permute_channels = permute_channels

    def draw(self, generator: torch.Generator) -> list[float]:
        """Factors of brightness, contrast and saturation, turns of the hue, is contrast first, and which permutation."""
        decisions = (torch.rand(5, generator=generator) < self.probability).tolist()
        strengths = (2 * torch.rand(4, generator=generator) - 1).tolist()
        contrast_first = torch.rand((), generator=generator).item() < 0.5
        brightness, contrast, saturation, hue, permute = decisions
        order = int(torch.randint(len(_ORDERS), (), generator=generator)) if self.permute_channels and permute else 0
        return [
            1 + strengths[0] * self.brightness if brightness else 1.0,
            1 + strengths[1] * self.contrast if contrast else 1.0,
            1 + strengths[2] * self.saturation if saturation else 1.0,
            strengths[3] * self.hue if hue else 0.0,
            float(contrast_first),
            float(order),
        ]

    def apply(
        self, pictures: Float[Tensor, "b 3 h w"], numbers: Float[Tensor, "b 6"], known: Float[Tensor, "b 6"]
    ) -> Float[Tensor, "b 3 h w"]:
        """The pictures in other colours; see `PixelChange.apply`."""
        brightness, contrast, saturation, hue = numbers[:, :4].unbind(1)
        first, contrasts = known[:, 4] == 1, known[:, 1] != 1
        steps: list[tuple[Bool[Tensor, "b"], Callable[[Tensor, Tensor], Tensor]]] = [
            (known[:, 0] != 1, lambda x, r: (x * brightness[r, None, None, None]).clamp_(0, 1)),
            (contrasts & first, lambda x, r: contrasted(x, contrast[r])),
            (known[:, 2] != 1, lambda x, r: saturated(x, saturation[r])),
            (known[:, 3] != 0, lambda x, r: hued(x, hue[r])),
            (contrasts & ~first, lambda x, r: contrasted(x, contrast[r])),
        ]
        steps += [(known[:, 5] == i, partial(_ordered, order)) for i, order in enumerate(_ORDERS) if i]
        for touched, step in steps:
            pictures = only(pictures, touched, step)
        return pictures

    def __call__(self, scene: Scene, generator: torch.Generator) -> Scene:
        return replace(scene, image=alone(self, (scene.image,), self.draw(generator))[0])


def _ordered(order: tuple[int, ...], pictures: Tensor, rows: Tensor) -> Tensor:
    return torch.cat([pictures[:, channel : channel + 1] for channel in order], 1)  # a list would make a GPU wait
