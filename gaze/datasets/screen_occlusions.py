"""Something in front of the user: patches without information, and light on the lenses of glasses.

Neither covers much of an eye. What counts as the eye is its opening: the middle two thirds of an eye's box in width
and the middle third in height, for boxes are half as wide again as the eye is from corner to corner.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.datasets.pixel_batches import erased, lit, only
from gaze.datasets.scene import probable
from gaze.datasets.screen_later import ScreenChange, Streams
from gaze.datasets.screen_view import EYES, STREAMS, Box, ScreenView, box_centre

_TRIES = 10
_NONE = (0.0,) * 7  # no rectangle
_ELLIPSE = 7  # numbers of one
_WIDE, _HIGH = 2 / 3, 1 / 3  # of an eye's box: its opening


class Erasing(ScreenChange):
    """One rectangle of each stream replaced by a single colour (random erasing, Zhong et al. 2020), with a limit.

    Rectangles that would cover too much of an eye are drawn again, and given up after ten times, as they are on a
    face whose eyes nobody has placed.

    Args:
        smallest, largest: area of the rectangle, as a share of the crop.
        most_of_an_eye: share of an eye's opening that it may cover.
        probability: share of the streams that are touched, each by itself.
    """

    count: ClassVar[int] = 21

    def __init__(
        self, smallest: float = 0.02, largest: float = 0.2, most_of_an_eye: float = 0.3, probability: float = 0.25
    ) -> None:
        if not 0.0 < smallest <= largest < 1.0:
            raise ValueError(f"Erasing.smallest and largest are {smallest} and {largest}; expected shares of the crop")
        self.smallest, self.largest = float(smallest), float(largest)
        self.most = probable("Erasing.most_of_an_eye", most_of_an_eye)
        self.probability = probable("Erasing.probability", probability)

    def draw(self, view: ScreenView, generator: torch.Generator) -> list[float]:
        """For each stream the edges of its rectangle in px, see `pixel_batches.erased`, and the colour; zeros for none."""
        numbers: list[float] = []
        for stream in STREAMS:
            if stream not in view.pictures:
                numbers += _NONE
                continue
            decision, *colour = torch.rand(4, generator=generator).tolist()
            draws = torch.rand(_TRIES, 4, generator=generator)  # always, so that streams draw alike
            openings = _openings(view, stream) if decision < self.probability else None
            if openings is None:
                numbers += _NONE
                continue
            shown = view.boxes[stream]
            boxes = (self._rectangle(shown, row) for row in draws.tolist())
            good = (box for box in boxes if max(_covered(eye, box) for eye in openings) <= self.most)
            if (box := next(good, None)) is None:
                numbers += _NONE
                continue
            rows, columns = pixels_of(box, shown, view.sizes[stream])
            numbers += [rows.start, rows.stop, columns.start, columns.stop, *colour]
        return numbers

    def apply(self, streams: Streams, numbers: Float[Tensor, "b 21"], known: Float[Tensor, "b 21"]) -> Streams:
        """All streams with their rectangles; see `ScreenChange.apply`."""
        changed = {}
        for stream, pictures in streams.items():
            first = len(_NONE) * STREAMS.index(stream)
            own = numbers[:, first : first + len(_NONE)]
            touched = known[:, first + 1] > known[:, first]
            changed[stream] = only(pictures, touched, lambda x, r, own=own: erased(x, own[r, :4], own[r, 4:]))
        return changed

    def _rectangle(self, within: Box, draws: list[float]) -> Box:
        area = self.smallest + draws[0] * (self.largest - self.smallest)
        aspect = 3.0 ** (2 * draws[1] - 1)  # of sides as shares of the crop's, so that both stay below 1
        w, h = min(math.sqrt(area * aspect), 1.0) * within[2], min(math.sqrt(area / aspect), 1.0) * within[3]
        return within[0] + draws[2] * (within[2] - w), within[1] + draws[3] * (within[3] - h), w, h


class Glare(ScreenChange):
    """A bright, slanted ellipse on each lens, as a window or a lamp leaves it; the same one in eye and face.

    Args:
        most_of_an_eye: largest area of an ellipse, as a share of an eye's opening.
        strength: largest share of white at its middle.
        probability: share of the samples that are touched.
    """

    count: ClassVar[int] = 42

    def __init__(self, most_of_an_eye: float = 0.3, strength: float = 0.9, probability: float = 0.1) -> None:
        self.most = probable("Glare.most_of_an_eye", most_of_an_eye)
        self.strength = probable("Glare.strength", strength)
        self.probability = probable("Glare.probability", probability)

    def draw(self, view: ScreenView, generator: torch.Generator) -> list[float]:
        """For each stream and the eyes that it may show how the ellipse lies, see `pixel_batches.lit`; zeros for none."""
        decision = torch.rand((), generator=generator).item()
        draws = torch.rand(len(EYES), 6, generator=generator).tolist()
        numbers: list[float] = []
        for stream in STREAMS:
            for eye, row in zip(EYES, draws, strict=True):
                shows = stream == eye or (stream == "face" and {eye, "face"} <= view.placed)
                if decision < self.probability and shows and eye in view.boxes and stream in view.pictures:
                    numbers += self._ellipse(view.sizes[stream], view.boxes[stream], view.boxes[eye], row)
                else:
                    numbers += [0.0] * _ELLIPSE
        return numbers

    def apply(self, streams: Streams, numbers: Float[Tensor, "b 42"], known: Float[Tensor, "b 42"]) -> Streams:
        """All streams with their ellipses; see `ScreenChange.apply`."""
        changed = {}
        for stream, pictures in streams.items():
            for eye in range(len(EYES)):
                first = _ELLIPSE * (len(EYES) * STREAMS.index(stream) + eye)
                own = numbers[:, first : first + _ELLIPSE]
                touched = known[:, first + _ELLIPSE - 1] > 0
                pictures = only(pictures, touched, lambda x, r, own=own: lit(x, own[r, :3], own[r, 3:6], own[r, 6]))
            changed[stream] = pictures
        return changed

    def _ellipse(self, size: tuple[int, int], shown: Box, eye: Box, draws: list[float]) -> list[float]:
        area = self.most * draws[0] * _WIDE * _HIGH * eye[2] * eye[3]
        aspect = 1 + 3 * draws[1]
        long = max(math.sqrt(area * aspect / math.pi), 1e-6)
        short = max(math.sqrt(area / aspect / math.pi), 1e-6)
        cosine, sine = math.cos(math.pi * draws[2]), math.sin(math.pi * draws[2])
        right, down = shown[2] / size[1], shown[3] / size[0]  # px of the frame in one of the sample
        x = shown[0] + 0.5 * right - eye[0] - draws[3] * eye[2]  # of the first pixel, from the ellipse's middle
        y = shown[1] + 0.5 * down - eye[1] - draws[4] * eye[3]
        along = [(cosine * x + sine * y) / long, cosine * right / long, sine * down / long]
        beside = [(cosine * y - sine * x) / short, -sine * right / short, cosine * down / short]
        return [*along, *beside, self.strength * (0.5 + 0.5 * draws[5])]


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
