"""One light and one camera for all streams: colours, sharpness and compression change alike, noise by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gaze.datasets.jpeg_pixels import compressed
from gaze.datasets.pixel_batches import GREY, blurred, coloured, only, speckled
from gaze.datasets.scene import probable
from gaze.datasets.screen_later import ScreenChange, Streams
from gaze.datasets.screen_view import ScreenView

_SAME = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)  # a matrix that changes no colour


class Photometric(ScreenChange):
    """Brightness, contrast, gamma, colour, blur, JPEG and noise, each drawn once for face and eyes together.

    A model that compares the streams must not learn that their light differs. Noise differs, as every pixel's
    does. Brightness and contrast are one line from level to level, and the two changes of colour one matrix.

    Args:
        brightness, contrast, saturation: the factor is drawn from 1 - value to 1 + value.
        hue: the shift is drawn from -hue to hue, in turns of the colour wheel.
        gamma: the exponent is drawn from 1 / (1 + gamma) to 1 + gamma, evenly in its logarithm.
        blur: largest standard deviation of the blur, in px of the sample.
        jpeg: (lowest, highest) quality; empty for none.
        noise: largest standard deviation of the noise, of the range from black to white.
        probability: of each of the changes.
    """

    count: ClassVar[int] = 16

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

    def draw(self, view: ScreenView, generator: torch.Generator) -> list[float]:
        """Factors of brightness and contrast, gamma, matrix of colours, blur, noise and its seed, and quality."""
        wanted = (torch.rand(8, generator=generator) < self.probability).tolist()
        draws = torch.rand(8, generator=generator).tolist()
        seed = int(torch.randint(2**24, (), generator=generator))  # always, so that what follows draws alike
        low, high = self.jpeg or (0, 0)
        return [
            1 + (2 * draws[0] - 1) * self.brightness if wanted[0] else 1.0,
            1 + (2 * draws[1] - 1) * self.contrast if wanted[1] else 1.0,
            (1 + self.gamma) ** (2 * draws[2] - 1) if wanted[2] else 1.0,
            *(self._colours(wanted, draws).flatten().tolist() if wanted[3] or wanted[4] else _SAME),
            max(draws[5] * self.blur, 0.05) if wanted[5] and self.blur else 0.0,
            draws[6] * self.noise if wanted[6] else 0.0,
            float(seed),
            float(round(low + draws[7] * (high - low))) if wanted[7] else 0.0,
        ]

    def apply(self, streams: Streams, numbers: Float[Tensor, "b 16"], known: Float[Tensor, "b 16"]) -> Streams:
        """All streams in another light, seen by another camera; see `ScreenChange.apply`."""
        brightness, contrast, gamma = numbers[:, :3].unbind(1)
        matrix, (blur, noise, seed, quality) = numbers[:, 3:12].unflatten(1, (3, 3)), numbers[:, 12:].unbind(1)
        factor = brightness * contrast
        offset = brightness * (1 - contrast) * _mean(streams)
        # Whole numbers of another range for each stream, so that their noise differs; float32 would round the sums
        seeds = {stream: ((seed.long() + 5_592_405 * i) % 2**24).float() for i, stream in enumerate(streams)}
        reach = math.ceil(2 * known[:, 12].max())
        steps: list[tuple[Bool[Tensor, "b"], Callable[[str, Tensor, Tensor], Tensor]]] = [
            ((known[:, :2] != 1).any(1), lambda _, x, r: (x * _each(factor[r])).add_(_each(offset[r])).clamp_(0, 1)),
            (known[:, 2] != 1, lambda _, x, r: x.pow(_each(gamma[r]))),
            ((known[:, 3:12] != known.new_tensor(_SAME)).any(1), lambda _, x, r: coloured(x, matrix[r])),
            (known[:, 12] > 0, lambda _, x, r: blurred(x, blur[r], reach)),
            (known[:, 13] > 0, lambda stream, x, r: speckled(x, noise[r], seeds[stream][r])),
            (known[:, 15] > 0, lambda _, x, r: compressed(x, quality[r])),
        ]
        changed = {}
        for stream, pictures in streams.items():
            for touched, step in steps:
                pictures = only(pictures, touched, partial(step, stream))
            changed[stream] = pictures
        return changed

    def _colours(self, wanted: Sequence[bool], draws: Sequence[float]) -> Float[Tensor, "3 3"]:
        """A matrix from colour to colour that keeps greys: saturation, and a turn about the axis of greys for hue."""
        matrix = torch.eye(3)
        if wanted[3]:
            share = 1 + (2 * draws[3] - 1) * self.saturation
            matrix = share * torch.eye(3) + (1 - share) * torch.tensor(GREY).expand(3, 3)
        if wanted[4] and self.hue:
            angle = 2 * math.pi * (2 * draws[4] - 1) * self.hue
            # Rodrigues' formula about (1, 1, 1): it doesn't keep luma exactly, and small shifts need no more
            third, root = (1 - math.cos(angle)) / 3, math.sin(angle) / math.sqrt(3)
            a, b, c = math.cos(angle) + third, third - root, third + root
            matrix = torch.tensor([[a, b, c], [c, a, b], [b, c, a]]) @ matrix
        return matrix


def _mean(streams: Streams) -> Float[Tensor, "b"]:
    """Of all streams together, about which contrast turns; every 16th pixel tells it well enough."""
    thin = [pictures[:, :, ::4, ::4].flatten(1) for pictures in streams.values()]
    return torch.cat(thin, 1).mean(1)


def _each(numbers: Float[Tensor, "b"]) -> Float[Tensor, "b 1 1 1"]:
    return numbers[:, None, None, None]
