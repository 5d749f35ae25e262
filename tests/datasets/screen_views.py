"""Views of made-up frames, and tables of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gaze.datasets.screen_view import Picture, ScreenView
from gaze.landmarks.mirror import mirror_order
from gaze.landmarks.points import DEFAULT
from gaze.recordings.writer import ScreenWriter
from gaze.types import ScreenTargets
from tests.recordings.miniature import sample

FRAME = (120.0, 160.0)  # width, height
BOXES = {"face": (20.0, 30.0, 80.0, 80.0), "left_eye": (64.0, 50.0, 24.0, 24.0), "right_eye": (32.0, 52.0, 24.0, 24.0)}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def view(seed: int = 0, size: int = 24, **changes) -> ScreenView:
    """A whole frame with boxes, and labels of which no two numbers are alike."""
    draws = generator(seed)
    coarse = torch.rand(1, 3, 20, 15, generator=draws)
    frame = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bilinear")[0]  # smooth, as pictures are
    picture = Picture((255 * frame).to(torch.uint8), (0.0, 0.0, *FRAME))
    known = {
        "pictures": dict.fromkeys(BOXES, picture),
        "boxes": dict(BOXES),
        "placed": frozenset(BOXES),
        "frame_size": FRAME,
        "sizes": dict.fromkeys(BOXES, (size, size)),
        "targets": ScreenTargets(
            point=torch.tensor([1.0, -2.0]),
            screen_cm=torch.tensor([6.0, 10.0]),
            screen_px=torch.tensor([600.0, 1000.0]),
            centre=torch.tensor([0.5, -5.0]),
            orientation=torch.tensor(3),
            gaze=torch.nn.functional.normalize(torch.tensor([0.1, 0.2, -0.9]), dim=0),
            origin=torch.tensor([2.0, 3.0, 40.0]),
            distance_cm=torch.tensor(40.0),
        ),
        "landmarks": torch.rand(len(DEFAULT), 2, generator=draws),
        "mirror": torch.tensor(mirror_order(DEFAULT)),
        "imu": torch.arange(1.0, 10.0),
        "imu_valid": 1.0,
        "orientation": 3,
    }
    return ScreenView(**(known | changes))


def same(a: ScreenView, b: ScreenView, levels: int = 0) -> bool:
    """Whether all that is said of two cut views agrees, pictures to within some grey levels."""
    for name in ("point", "screen_cm", "screen_px", "centre", "gaze", "origin", "orientation"):
        torch.testing.assert_close(getattr(a.targets, name), getattr(b.targets, name), msg=name)
    for stream in a.boxes:
        np.testing.assert_allclose(a.boxes[stream], b.boxes[stream], atol=1e-9)
    torch.testing.assert_close(a.landmarks, b.landmarks, atol=1e-5, rtol=0)
    torch.testing.assert_close(a.imu, b.imu)
    far = [(p.image.int() - b.pictures[s].image.int()).abs().max() for s, p in a.pictures.items()]
    return a.orientation == b.orientation and max(far) <= levels


def png(image: torch.Tensor) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(stream, "PNG")
    return stream.getvalue()


def table(folder: Path, people: dict[str, int] | None = None, crop: dict | None = None, **changes) -> Path:
    """A table in which a person has so many frames; `changes` are told to every frame, or made by a function of it."""
    file = folder / "table.parquet"
    with ScreenWriter(file, dataset="mini", boxes="made up", crop=crop) as writer:
        for person, count in (people or {"anna": 6, "ben": 2, "cleo": 2, "dan": 3}).items():
            for frame in range(count):
                told = {name: value(person, frame) if callable(value) else value for name, value in changes.items()}
                writer.write([sample(person, frame, **told)])
    return file
