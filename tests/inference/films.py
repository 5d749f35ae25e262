"""Videos of pictures in memory, for tests that need no file, and a predictor whose answers are known."""

from fractions import Fraction

import torch

from gaze.inference.video_file import Frame
from gaze.types import ScenePrediction

SIZE = (48, 64)  # height, width in pixels
CELLS = 16


def film(times):
    """Grey frames at these times, in milliseconds; the brightness of a frame tells its number."""
    return [
        Frame(i, pts, Fraction(1, 1000), torch.full((3, *SIZE), i % 256, dtype=torch.uint8))
        for i, pts in enumerate(times)
    ]


def looking_at(*points):
    """A prediction of people who look at points, fractions."""
    centre = (torch.arange(CELLS) + 0.5) / CELLS
    maps = [-(((centre - x) ** 2)[None] + ((centre - y) ** 2)[:, None]) / 0.02 for x, y in points]
    return ScenePrediction(torch.stack(maps) if maps else torch.zeros(0, 1, 1), torch.full((len(maps),), 2.0))


class Script:
    """Heads and predictions by frame number: a list of (box, point) for each frame, as `heads` and as predictor."""

    def __init__(self, frames):
        self.frames, self.sizes = frames, []

    def heads(self, name, picture, frame=0):
        return torch.tensor([box for box, _ in self.frames[frame]], dtype=torch.float32).reshape(-1, 4)

    def __call__(self, pictures, heads):
        self.sizes.append(len(pictures))
        return [looking_at(*(point for _, point in self.frames[int(picture[0, 0, 0])])) for picture in pictures]


class MemoryWriter:
    """Stands in for the encoder: a file with a byte for each frame."""

    def __init__(self, path, first):
        self.file = path.open("wb")

    def add(self, frame, picture):
        self.file.write(b".")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
