"""Augmentation of faces whose gaze is known: the label follows the picture, and a clip's frames change alike.

Nothing is drawn but from the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.datasets.face_view import FaceView, mirrored
from gaze.datasets.later import PixelChange, alone
from gaze.datasets.photometric import PhotometricDistort
from gaze.datasets.pixel_batches import blurred, grey, only
from gaze.datasets.scene import probable

_SHARP_PX = 0.05  # the least standard deviation of a blur


class Flip:
    """A mirror: whoever looks left looks right then, and so does the head.

    Args:
        probability: share of the samples that are mirrored.
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = probable("Flip.probability", probability)

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        return mirrored(view) if _drawn(generator) < self.probability else view


class FacePixels(PixelChange):
    """A change of pictures that leaves the label as it is; a clip's frames change alike."""

    def __call__(self, view: FaceView, generator: torch.Generator) -> FaceView:
        return replace(view, images=alone(self, view.images, self.draw(generator)))


class ColourJitter(FacePixels):
    """Other brightness, contrast, saturation and hue, each at random; see `PhotometricDistort`.

    Args:
        brightness, contrast, saturation: the factor is drawn from 1 - this to 1 + this.
        hue: the shift is drawn from -hue to hue, in turns of the colour wheel.
        probability: of each of the changes.
    """

    count: ClassVar[int] = 6

    def __init__(
        self,
        brightness: float = 0.2,
        contrast: float = 0.2,
        saturation: float = 0.2,
        hue: float = 0.1,
        probability: float = 1.0,
    ) -> None:
        self.distort = PhotometricDistort(brightness, contrast, saturation, hue, probability)

    def draw(self, generator: torch.Generator) -> list[float]:
        """See `PhotometricDistort.draw`."""
        return self.distort.draw(generator)

    def apply(
        self, pictures: Float[Tensor, "b 3 h w"], numbers: Float[Tensor, "b 6"], known: Float[Tensor, "b 6"]
    ) -> Float[Tensor, "b 3 h w"]:
        """See `PhotometricDistort.apply`."""
        return self.distort.apply(pictures, numbers, known)


class Grey(FacePixels):
    """The picture without its colours.

    Args:
        probability: share of the samples.
    """

    count: ClassVar[int] = 1

    def __init__(self, probability: float = 0.1) -> None:
        self.probability = probable("Grey.probability", probability)

    def draw(self, generator: torch.Generator) -> list[float]:
        """1 for a picture without colours."""
        return [float(_drawn(generator) < self.probability)]

    def apply(
        self, pictures: Float[Tensor, "b 3 h w"], numbers: Float[Tensor, "b 1"], known: Float[Tensor, "b 1"]
    ) -> Float[Tensor, "b 3 h w"]:
        """Some of the pictures grey; see `PixelChange.apply`."""
        return only(pictures, known[:, 0] > 0, lambda x, _: grey(x).expand_as(x).contiguous())


class Blur(FacePixels):
    """A camera that is out of focus.

    Args:
        sigma: the most, as a fraction of the picture's height; 0.01 is 2 px of 224.
        probability: share of the samples.
    """

    count: ClassVar[int] = 1

    def __init__(self, sigma: float = 0.01, probability: float = 0.1) -> None:
        if not 0.0 < sigma <= 0.25:
            raise ValueError(f"Blur.sigma is {sigma}; expected a fraction above 0, to 0.25")
        self.sigma, self.probability = float(sigma), probable("Blur.probability", probability)

    def draw(self, generator: torch.Generator) -> list[float]:
        """The standard deviation as a fraction of the height; 0 for none."""
        decision, strength = torch.rand(2, generator=generator).tolist()
        return [strength * self.sigma if decision < self.probability else 0.0]

    def apply(
        self, pictures: Float[Tensor, "b 3 h w"], numbers: Float[Tensor, "b 1"], known: Float[Tensor, "b 1"]
    ) -> Float[Tensor, "b 3 h w"]:
        """Some of the pictures blurred; see `PixelChange.apply`."""
        height = pictures.shape[2]
        sigma_px = (numbers[:, 0] * height).clamp(min=_SHARP_PX)
        reach = math.ceil(2 * max(known.max().item() * height, _SHARP_PX))
        return only(pictures, known[:, 0] > 0, lambda x, rows: blurred(x, sigma_px[rows], reach))


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


def _drawn(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()
