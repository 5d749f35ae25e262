"""Something in front of the user: patches without information, and light on the lenses of glasses.

Neither covers much of an eye. What counts as the eye is its opening: the middle two thirds of an eye's box in width
and the middle third in height, for boxes are half as wide again as the eye is from corner to corner.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.scene import probable
from gaze.datasets.screen_view import EYES, Box, Picture, ScreenView, box_centre, cut

_TRIES = 10
_WIDE, _HIGH = 2 / 3, 1 / 3  # of an eye's box: its opening


class Erasing:
    """One rectangle of each stream replaced by a single colour (random erasing, Zhong et al. 2020), with a limit.

    Rectangles that would cover too much of an eye are drawn again, and given up after ten times, as they are on a
    face whose eyes nobody has placed.

    Args:
        smallest, largest: area of the rectangle, as a share of the crop.
        most_of_an_eye: share of an eye's opening that it may cover.
        probability: share of the streams that are touched, each by itself.
    """

    def __init__(
        self, smallest: float = 0.02, largest: float = 0.2, most_of_an_eye: float = 0.3, probability: float = 0.25
    ) -> None:
        if not 0.0 < smallest <= largest < 1.0:
            raise ValueError(f"Erasing.smallest and largest are {smallest} and {largest}; expected shares of the crop")
        self.smallest, self.largest = float(smallest), float(largest)
        self.most = probable("Erasing.most_of_an_eye", most_of_an_eye)
        self.probability = probable("Erasing.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        view = cut(view)
        pictures = dict(view.pictures)
        for stream, picture in view.pictures.items():
            decision, *colour = torch.rand(4, generator=generator).tolist()
            draws = torch.rand(_TRIES, 4, generator=generator)  # always, so that streams draw alike
            openings = _openings(view, stream)
            if decision >= self.probability or openings is None:
                continue
            boxes = (self._rectangle(picture.covers, row) for row in draws.tolist())
            good = (box for box in boxes if max(_covered(eye, box) for eye in openings) <= self.most)
            if (box := next(good, None)) is not None:
                pictures[stream] = Picture(_filled(picture, box, colour), picture.covers)
        return replace(view, pictures=pictures)

    def _rectangle(self, within: Box, draws: list[float]) -> Box:
        area = self.smallest + draws[0] * (self.largest - self.smallest)
        aspect = 3.0 ** (2 * draws[1] - 1)  # of sides as shares of the crop's, so that both stay below 1
        w, h = min(math.sqrt(area * aspect), 1.0) * within[2], min(math.sqrt(area / aspect), 1.0) * within[3]
        return within[0] + draws[2] * (within[2] - w), within[1] + draws[3] * (within[3] - h), w, h


class Glare:
    """A bright, slanted ellipse on each lens, as a window or a lamp leaves it; the same one in eye and face.

    Args:
        most_of_an_eye: largest area of an ellipse, as a share of an eye's opening.
        strength: largest share of white at its middle.
        probability: share of the samples that are touched.
    """

    def __init__(self, most_of_an_eye: float = 0.3, strength: float = 0.9, probability: float = 0.1) -> None:
        self.most = probable("Glare.most_of_an_eye", most_of_an_eye)
        self.strength = probable("Glare.strength", strength)
        self.probability = probable("Glare.probability", probability)

    def __call__(self, view: ScreenView, generator: torch.Generator) -> ScreenView:
        decision = torch.rand((), generator=generator).item()
        draws = torch.rand(len(EYES), 6, generator=generator).tolist()
        if decision >= self.probability:
            return view
        view = cut(view)
        images = {stream: picture.image for stream, picture in view.pictures.items()}
        for eye, row in zip(EYES, draws, strict=True):
            if eye not in view.boxes:
                continue
            for stream in (eye, "face"):
                together = stream == eye or {eye, "face"} <= view.placed
                if stream in images and together:
                    shown = view.pictures[stream].covers
                    images[stream] = self._lit(images[stream], shown, view.boxes[eye], row)
        pictures = {stream: Picture(image, view.pictures[stream].covers) for stream, image in images.items()}
        return replace(view, pictures=pictures)

    def _lit(self, image: UInt8[Tensor, "3 h w"], shown: Box, eye: Box, draws: list[float]) -> UInt8[Tensor, "3 h w"]:
        area = self.most * draws[0] * _WIDE * _HIGH * eye[2] * eye[3]
        aspect = 1 + 3 * draws[1]
        long, short = math.sqrt(area * aspect / math.pi), math.sqrt(area / aspect / math.pi)
        angle = math.pi * draws[2]
        x, y = eye[0] + draws[3] * eye[2], eye[1] + draws[4] * eye[3]
        height, width = image.shape[-2:]
        across = shown[0] + (torch.arange(width) + 0.5) * (shown[2] / width) - x
        down = (shown[1] + (torch.arange(height) + 0.5) * (shown[3] / height) - y)[:, None]
        along = (math.cos(angle) * across + math.sin(angle) * down) / max(long, 1e-6)
        beside = (math.cos(angle) * down - math.sin(angle) * across) / max(short, 1e-6)
        white = self.strength * (0.5 + 0.5 * draws[5]) * (1 - along**2 - beside**2).clamp(min=0).sqrt()
        return (image + white * (255.0 - image)).round().to(torch.uint8)


def opening(eye: Box) -> Box:
    """The part of an eye's box where the eye is."""
    (x, y), (_, _, w, h) = box_centre(eye), eye
    return x - w * _WIDE / 2, y - h * _HIGH / 2, w * _WIDE, h * _HIGH


def _openings(view: ScreenView, stream: str) -> list[Box] | None:
    """The eyes that a stream shows; None if it may show some of which nobody knows the place."""
    if stream in EYES:
        return [opening(view.boxes[stream])]
    if not {"face", *EYES} <= view.placed:
        return None
    return [opening(view.boxes[eye]) for eye in EYES]


def _covered(box: Box, by: Box) -> float:
    """The share of a box that another covers."""
    w = min(box[0] + box[2], by[0] + by[2]) - max(box[0], by[0])
    h = min(box[1] + box[3], by[1] + by[3]) - max(box[1], by[1])
    return max(w, 0.0) * max(h, 0.0) / (box[2] * box[3])


def pixels_of(box: Box, shown: Box, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a picture whose middles lie in a box; both in px of the frame."""
    height, width = size
    edges = []
    for start, length, first, across, count in (
        (box[1], box[3], shown[1], shown[3], height),
        (box[0], box[2], shown[0], shown[2], width),
    ):
        low = math.ceil((start - first) / across * count - 0.5)
        high = math.ceil((start + length - first) / across * count - 0.5)
        edges.append(slice(min(max(low, 0), count), min(max(high, 0), count)))
    return edges[0], edges[1]


def _filled(picture: Picture, box: Box, colour: list[float]) -> UInt8[Tensor, "3 h w"]:
    height, width = picture.image.shape[-2:]
    rows, columns = pixels_of(box, picture.covers, (height, width))
    image = picture.image.clone()
    image[:, rows, columns] = _bytes(torch.tensor(colour))[:, None, None]
    return image


def _bytes(colour: Float[Tensor, "3"]) -> UInt8[Tensor, "3"]:
    return (255 * colour).round().to(torch.uint8)
