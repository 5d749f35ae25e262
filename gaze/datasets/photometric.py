"""Photometric augmentation of scenes: other colours, the same labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from gaze.datasets.scene import Scene, probable


class PhotometricDistort:
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

    def __call__(self, scene: Scene, generator: torch.Generator) -> Scene:
        decisions = (torch.rand(5, generator=generator) < self.probability).tolist()
        strengths = (2 * torch.rand(4, generator=generator) - 1).tolist()
        contrast_first = torch.rand((), generator=generator).item() < 0.5
        brightness, contrast, saturation, hue, permute = decisions
        image = scene.image.float() / 255  # once, so that the steps don't round one after another
        steps: list[tuple[bool, Callable[[Tensor, float], Tensor], float]] = [
            (brightness, pixels.adjust_brightness, 1 + strengths[0] * self.brightness),
            (contrast and contrast_first, pixels.adjust_contrast, 1 + strengths[1] * self.contrast),
            (saturation, pixels.adjust_saturation, 1 + strengths[2] * self.saturation),
            (hue, pixels.adjust_hue, strengths[3] * self.hue),
            (contrast and not contrast_first, pixels.adjust_contrast, 1 + strengths[1] * self.contrast),
        ]
        for wanted, step, strength in steps:
            image = step(image, strength) if wanted else image
        if self.permute_channels and permute:
            image = image[torch.randperm(3, generator=generator)]
        return replace(scene, image=(image * 255).round().clamp(0, 255).to(torch.uint8))
