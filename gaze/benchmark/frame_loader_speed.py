"""Frames of recordings in shuffled order, from storage to samples: a table against a JPEG file for each crop."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
from gaze.datasets.screen_augment import Flip, LabelNoise, QuarterTurn, Roll, UpsideDown
from gaze.datasets.screen_augment_boxes import BoxJitter, ScaleJitter
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_occlusions import Erasing, Glare
from gaze.datasets.screen_photometric import Photometric
from gaze.datasets.screen_view import Augmentation
from gaze.recordings.crops import BLOCK, Pictures
from gaze.recordings.margins import stored_side
from gaze.recordings.sample import ScreenSample
from gaze.recordings.writer import ScreenWriter
from gaze.seeds import generator

FRAMES = 32
STORED = {"face": 448, "left_eye": 128, "right_eye": 128}  # px of the boxes, as tools/prepare_pog.py stores them
SIZES = {"face": 224, "left_eye": 128, "right_eye": 128}  # of the samples


def screen_loader(rounds: int) -> Result:
    """Face and eyes at sizes as usual, in one process; no augmentation, for the peers have none.

    The published way is that of iTracker's loader (CSAILVision/GazeCapture, ITrackerData.py), written anew: a file
    for each crop, Pillow, a resize, floats, and each stream's mean picture subtracted. The fair peer leaves out what
    we leave to the device: it stops at the 8 bits of the resized picture. All read the same crops of boxes.

    What training costs beyond that is in rows of their own, against the same peers: crops twice as large for the margin
    that boxes are moved in, by default, and the usual augmentations of them.
    """
    crops = {stream: jpeg_bytes(side, side) for stream, side in STORED.items()}
    margin = Pictures().margin
    wide = {stream: jpeg_bytes(*[stored_side(side, margin, BLOCK)] * 2) for stream, side in STORED.items()}
    with tempfile.TemporaryDirectory() as folder:
        sizes: dict[str, Any] = {"face_size": SIZES["face"], "eye_size": SIZES["left_eye"]}
        data = ScreenDataset(_table(Path(folder) / "bare.parquet", crops, 0.0), "train", **sizes)
        room = _table(Path(folder) / "wide.parquet", wide, margin)
        roomy = ScreenDataset(room, "train", **sizes)
        training = ScreenDataset(room, "train", **sizes, augmentations=usual())
        files = [_files(Path(folder), number, crops) for number in range(FRAMES)]
        order = data.order(generator(0, 0))[: len(data)].tolist()
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

        def with_margin() -> None:
            for i in order:
                roomy.sample(i, None)

        def augmented() -> None:
            for place, i in enumerate(order):
                training.in_epoch(i, generator(0, 0, place), generator(0, 0))

        def decode() -> None:
            for stream, coded in crops.items():
                decode_image(stream, coded, at_least=(SIZES[stream],) * 2)

        ours_too = {"ours": ours, "with margin": with_margin, "augmented": augmented}
        timings = interleaved({"published": published, "fair": fair, **ours_too}, rounds, torch.device("cpu"))
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


def usual() -> list[Augmentation | CutMix]:
    """The augmentations of conf/dataset/pog_parquet.yaml."""
    return [
        BoxJitter(face=0.05, eye=0.05),
        ScaleJitter(amount=0.1),
        Roll(degrees=5.0, probability=0.5),
        CutMix("safe", probability=0.3),
        Flip(probability=0.5),
        UpsideDown(probability=0.0),
        QuarterTurn(probability=0.0),
        Photometric(probability=0.25),
        Erasing(probability=0.1),
        Glare(probability=0.1),
        LabelNoise(sigma_cm=0.1),
    ]


def _table(path: Path, crops: dict[str, bytes], margin: float) -> str:
    with ScreenWriter(path, dataset="benchmark", boxes="none", crop={"margin": margin}) as writer:
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
