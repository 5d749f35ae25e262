"""Augmentation of faces whose gaze is known: the label follows the picture, and a clip's frames change alike.

Nothing is drawn but from the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from gaze.datasets.face_view import FaceView, mirrored
from gaze.datasets.photometric import PhotometricDistort
from gaze.datasets.scene import Scene, probable


class Flip:
    """A mirror: whoever looks left looks right then, and so does the head.

    Args:
        probability: share of the samples that are mirrored.
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("Flip.probability", probability)

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        return mirrored(view) if _drawn(generator) < self.probability else view


class ColourJitter:
    """Other brightness, contrast, saturation and hue, each at random; see `PhotometricDistort`.

    Args:
        brightness, contrast, saturation: the factor is drawn from 1 - this to 1 + this.
        hue: the shift is drawn from -hue to hue, in turns of the colour wheel.
        probability: of each of the changes.
    """

    def __init__(
        self,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 0.1,
        probability: float = 1.0,
    ) -> None:
        self.distort = PhotometricDistort(brightness, contrast, saturation, hue, probability)

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        seed = int(torch.randint(2**62, (), generator=generator))
        return replace(view, images=tuple(self._one(image, seed) for image in view.images))

    def _one(self, image: Tensor, seed: int) -> Tensor:
        scene = Scene(image, torch.zeros(0, 4), torch.zeros(0, 1, 2))
        return self.distort(scene, torch.Generator().manual_seed(seed)).image


class Grey:
    """The picture without its colours.

    Args:
        probability: share of the samples.
    """

    def __init__(self, probability: float = 0.1) -> None:
        self.probability = probable("Grey.probability", probability)

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        if _drawn(generator) >= self.probability:
            return view
        return replace(view, images=tuple(pixels.rgb_to_grayscale(image, 3) for image in view.images))


class Blur:
    """A camera that is out of focus.

    Args:
        sigma: the most, as a fraction of the picture's height; 0.01 is 2 px of 224.
        probability: share of the samples.
    """

    def __init__(self, sigma: float = 0.01, probability: float = 0.1) -> None:
        if not 0.0 < sigma <= 0.25:
            raise ValueError(f"Blur.sigma is {sigma}; expected a fraction above 0, to 0.25")
        self.sigma, self.probability = float(sigma), probable("Blur.probability", probability)

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        decision, strength = torch.rand(2, generator=generator).tolist()
        if decision >= self.probability:
            return view
        return replace(view, images=tuple(_blurred(image, strength * self.sigma) for image in view.images))


class ResizedCrop:
    """A part of the picture. For faces that were cut out by a box only: of a normalised picture it would be what another
    camera sees, and the label would no longer be true.

    Args:
        scale: the least share of the picture's area; the most is all of it. The aspect is kept.
        probability: share of the samples.
    """

    def __init__(self, scale: float = 0.8, probability: float = 1.0) -> None:
        if not 0.0 < scale <= 1.0:
            raise ValueError(f"ResizedCrop.scale is {scale}; expected a share of the area above 0, to 1")
        self.scale, self.probability = float(scale), probable("ResizedCrop.probability", probability)

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        decision, area, x, y = torch.rand(4, generator=generator).tolist()
        if decision >= self.probability:
            return view
        side = math.sqrt(self.scale + area * (1 - self.scale))
        return replace(view, images=tuple(_part(image, side, x, y) for image in view.images))


def _part(image: Tensor, side: float, x: float, y: float) -> Tensor:
    height, width = (max(round(side * length), 1) for length in image.shape[-2:])
    top, left = round(y * (image.shape[-2] - height)), round(x * (image.shape[-1] - width))
    return image[..., top : top + height, left : left + width]


def _blurred(image: Tensor, sigma: float) -> Tensor:
    sigma_px = max(sigma * image.shape[-2], 0.05)  # torchvision refuses 0
    return pixels.gaussian_blur(image, 2 * math.ceil(2 * sigma_px) + 1, sigma_px)


def _drawn(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()
