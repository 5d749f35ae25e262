"""One light and one camera for all streams: colours, sharpness and compression change alike, noise by itself."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from gaze.datasets.scene import probable
from gaze.datasets.screen_view import Picture, ScreenView, cut

_GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601


class Photometric:
    """Brightness, contrast, gamma, colour, blur, JPEG and noise, each drawn once for face and eyes together.

    A model that compares the streams must not learn that their light differs. Noise differs, as every pixel's
    does. The three tone changes are one table of 256 levels per sample, and the two of colour one matrix.

    Args:
        brightness, contrast, saturation: the factor is drawn from 1 - value to 1 + value.
        hue: the shift is drawn from -hue to hue, in turns of the colour wheel.
        gamma: the exponent is drawn from 1 / (1 + gamma) to 1 + gamma, evenly in its logarithm.
        blur: largest standard deviation of the blur, in px of the sample.
        jpeg: (lowest, highest) quality; empty for none.
        noise: largest standard deviation of the noise, of the range from black to white.
        probability: of each of the changes.
    """

    def __init__(
        self,
        brightness: float = 0.25,
        contrast: float = 0.25,
        saturation: float = 0.25,
        hue: float = 0.02,
        gamma: float = 0.3,
        blur: float = 1.5,
        jpeg: Sequence[int] = (40, 95),
        noise: float = 0.02,
        probability: float = 0.25,
    ) -> None:
        fractions = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "noise": noise}
        for name, value, limit in (*((n, v, 1.0) for n, v in fractions.items()), ("hue", hue, 0.5)):
            if not 0.0 <= value <= limit:
                raise ValueError(f"Photometric.{name} is {value}; expected a number from 0 to {limit:g}")
        if gamma < 0 or blur < 0:
            raise ValueError(f"Photometric.gamma and blur are {gamma} and {blur}; expected numbers from 0 on")
        if jpeg and not (len(jpeg) == 2 and 1 <= jpeg[0] <= jpeg[1] <= 100):
            raise ValueError(f"Photometric.jpeg is {list(jpeg)}; expected (lowest, highest) quality, from 1 to 100")
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue
        self.gamma, self.blur, self.jpeg, self.noise = gamma, blur, tuple(jpeg), noise
        self.probability = probable("Photometric.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        wanted = (torch.rand(8, generator=generator) < self.probability).tolist()
        draws = torch.rand(8, generator=generator).tolist()
        view = cut(view)
        images = {stream: picture.image for stream, picture in view.pictures.items()}
        tones = self._tones(wanted, draws, images) if any(wanted[:3]) else None
        coloured = (wanted[3] and self.saturation) or (wanted[4] and self.hue)
        colours = self._colours(wanted, draws) if coloured else None
        pictures = {}
        for stream, image in images.items():
            image = _lit(image, tones, colours)
            if wanted[5] and self.blur:
                sigma = max(draws[5] * self.blur, 0.05)  # torchvision refuses 0
                image = pixels.gaussian_blur(image, 2 * math.ceil(2 * sigma) + 1, sigma)
            if wanted[6] and self.noise:
                sigma = 255 * self.noise * draws[6]
                speckle = torch.randn(image.shape, generator=generator) * sigma
                image = (image + speckle).round().clamp(0, 255).to(torch.uint8)
            if wanted[7] and self.jpeg:
                low, high = self.jpeg
                image = _compressed(image, round(low + draws[7] * (high - low)))
            pictures[stream] = Picture(image, view.pictures[stream].covers)
        return replace(view, pictures=pictures)

    def _tones(
        self, wanted: Sequence[bool], draws: Sequence[float], images: dict[str, Tensor]
    ) -> Float[np.ndarray, "256"]:
        """What each of 256 levels becomes, from 0 to 1. Contrast turns about the mean of all streams together."""
        level = np.linspace(0, 1, 256, dtype=np.float32)
        if wanted[0]:
            level = level * (1 + (2 * draws[0] - 1) * self.brightness)
        if wanted[1] and images:
            thin = np.concatenate([image[:, ::4, ::4].reshape(-1).numpy() for image in images.values()])
            mean = level[thin].mean()  # every 16th pixel tells it well enough
            level = mean + (level - mean) * (1 + (2 * draws[1] - 1) * self.contrast)
        level = level.clip(0, 1)
        return level ** np.float32((1 + self.gamma) ** (2 * draws[2] - 1)) if wanted[2] else level

    def _colours(self, wanted: Sequence[bool], draws: Sequence[float]) -> Float[Tensor, "3 3"]:
        """A matrix from colour to colour that keeps greys: saturation, and a turn about the axis of greys for hue."""
        matrix = torch.eye(3)
        if wanted[3]:
            share = 1 + (2 * draws[3] - 1) * self.saturation
            matrix = share * torch.eye(3) + (1 - share) * torch.tensor(_GREY).expand(3, 3)
        if wanted[4]:
            angle = 2 * math.pi * (2 * draws[4] - 1) * self.hue
            # Rodrigues' formula about (1, 1, 1): it doesn't keep luma exactly, and small shifts need no more
            third, root = (1 - math.cos(angle)) / 3, math.sin(angle) / math.sqrt(3)
            a, b, c = math.cos(angle) + third, third - root, third + root
            matrix = torch.tensor([[a, b, c], [c, a, b], [b, c, a]]) @ matrix
        return matrix


def _lit(image: UInt8[Tensor, "3 h w"], tones: np.ndarray | None, colours: Tensor | None) -> UInt8[Tensor, "3 h w"]:
    """The picture with other tones and then other colours, rounded once."""
    if colours is None:
        if tones is None:
            return image
        return torch.from_numpy((tones * 255).round().astype(np.uint8)[image.contiguous().numpy()])
    table = tones if tones is not None else np.linspace(0, 1, 256, dtype=np.float32)
    light = torch.from_numpy(table[image.contiguous().numpy()])
    return (255 * torch.tensordot(colours, light, 1)).round_().clamp_(0, 255).to(torch.uint8)


def _compressed(image: UInt8[Tensor, "3 h w"], quality: int) -> UInt8[Tensor, "3 h w"]:
    """What is left of the picture in a JPEG. By Pillow, so that a sample does not depend on what is installed."""
    stream = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().numpy()).save(stream, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)
