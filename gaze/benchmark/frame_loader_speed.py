"""Frames of recordings in shuffled order, from storage to samples: a table against a JPEG file for each crop."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import jpeg_bytes
from gaze.benchmark.result import Result
from gaze.datasets.image import decode_image
from gaze.datasets.screen import ScreenDataset
from gaze.recordings.sample import ScreenSample
from gaze.recordings.writer import ScreenWriter

FRAMES = 48
STORED = {"face": 448, "left_eye": 128, "right_eye": 128}  # px, as tools/prepare_pog.py stores them
SIZES = {"face": 224, "left_eye": 128, "right_eye": 128}  # of the samples


def screen_loader(rounds: int) -> Result:
    """Face and eyes at sizes as usual, in one process; no augmentation, for the peer has none.

    The published way is that of iTracker's loader (CSAILVision/GazeCapture, ITrackerData.py), written anew: a file
    for each crop, Pillow, a resize, floats, and each stream's mean picture subtracted. The fair peer leaves out what
    we leave to the device: it stops at the 8 bits of the resized picture.
    """
    crops = {stream: jpeg_bytes(side, side) for stream, side in STORED.items()}
    with tempfile.TemporaryDirectory() as folder:
        data = ScreenDataset(_table(Path(folder), crops), "train", face_size=SIZES["face"], eye_size=SIZES["left_eye"])
        files = [_files(Path(folder), number, crops) for number in range(FRAMES)]
        order = data.order(torch.Generator().manual_seed(0)).tolist()
        means = {stream: torch.full((3, side, side), 0.5) for stream, side in SIZES.items()}

        def published() -> None:
            for i in order:
                for stream, file in files[i].items():
                    _read(file, SIZES[stream], means[stream])

        def fair() -> None:
            for i in order:
                for stream, file in files[i].items():
                    np.array(_resized(file, SIZES[stream]))

        def ours() -> None:
            for i in order:
                data.sample(i, None)

        def decode() -> None:
            for stream, coded in crops.items():
                decode_image(stream, coded, at_least=(SIZES[stream],) * 2)

        timings = interleaved({"published": published, "fair": fair, "ours": ours}, rounds, torch.device("cpu"))
        least = interleaved({"decode": decode}, 10 * rounds, torch.device("cpu"))["decode"].best * FRAMES
        difference = _difference(data, files[0], means)
    return Result(
        name=f"screen loader, face {STORED['face']} to {SIZES['face']}, eyes {SIZES['left_eye']}",
        unit="frames",
        units=FRAMES,
        timings=timings,
        goals={"ours": 3.0},
        difference=difference,
        tolerance=0.05,  # on average: a JPEG decoded at half its size is filtered otherwise than one resized
        limits={"ours": least / timings["ours"].best},
    )


def _table(folder: Path, crops: dict[str, bytes]) -> str:
    path = folder / "table.parquet"
    with ScreenWriter(path, dataset="benchmark", boxes="none") as writer:
        writer.write(_samples(crops))
    return str(path)


def _samples(crops: dict[str, bytes]) -> Sequence[ScreenSample]:
    boxes = {"face_box": (100.0, 100.0, 250.0, 250.0), "left_eye_box": (240.0, 180.0, 60.0, 60.0)}
    boxes["right_eye_box"] = (140.0, 180.0, 60.0, 60.0)
    return [
        ScreenSample(
            dataset="benchmark",
            subject="nobody",
            recording="r",
            frame=number,
            split="train",
            frame_size=(480, 640),
            gaze_cam_cm=(1.0, -2.0),
            **boxes,  # type: ignore[arg-type]
            **crops,  # type: ignore[arg-type]
        )
        for number in range(FRAMES)
    ]


def _files(folder: Path, number: int, crops: dict[str, bytes]) -> dict[str, Path]:
    files = {}
    for stream, coded in crops.items():
        files[stream] = folder / stream / f"{number:05d}.jpg"
        files[stream].parent.mkdir(exist_ok=True)
        files[stream].write_bytes(coded)
    return files


def _resized(file: Path, side: int) -> Image.Image:
    return Image.open(file).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)


def _read(file: Path, side: int, mean: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 h w"]:
    return pixels.to_dtype(pixels.to_image(_resized(file, side)), torch.float32, scale=True) - mean


def _difference(data: ScreenDataset, files: dict[str, Path], means: dict[str, Tensor]) -> float:
    """How far the two are apart on average, of the range from black to white."""
    inputs = data[0].inputs
    far = [
        (getattr(inputs, stream).float() / 255 - means[stream] - _read(file, SIZES[stream], means[stream])).abs().mean()
        for stream, file in files.items()
    ]
    return float(max(far))
