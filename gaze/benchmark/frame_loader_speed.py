"""Frames of recordings in shuffled order, from storage to samples: a table against a JPEG file for each crop."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as pixels

from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import jpeg_bytes
from gaze.benchmark.result import Result, largest
from gaze.datasets.image import decode_image
from gaze.datasets.screen import ScreenDataset
from gaze.datasets.screen_augment import Flip, LabelNoise, QuarterTurn, Roll, UpsideDown
from gaze.datasets.screen_augment_boxes import BoxJitter, ScaleJitter
from gaze.datasets.screen_mixing import CutMix
from gaze.datasets.screen_occlusions import Erasing, Glare
from gaze.datasets.screen_photometric import Photometric
from gaze.datasets.screen_view import Augmentation
from gaze.hardware import Hardware
from gaze.loading import Key, Views
from gaze.recordings.crops import BLOCK, Pictures
from gaze.recordings.margins import stored_side
from gaze.recordings.sample import ScreenSample
from gaze.recordings.writer import ScreenWriter
from gaze.seeds import generator
from gaze.types import Batch, collate

FRAMES = 32
STORED = {"face": 448, "left_eye": 128, "right_eye": 128}  # px of the boxes, as tools/prepare_pog.py stores them
SIZES = {"face": 224, "left_eye": 128, "right_eye": 128}  # of the samples


def screen_loader(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Face and eyes at sizes as usual, in one process, from storage to a batch.

    The published way is that of iTracker's loader (CSAILVision/GazeCapture, ITrackerData.py), written anew: a file
    for each crop, Pillow, a resize, floats, and each stream's mean picture subtracted. The fair peer leaves out what
    we leave to the device: it stops at the 8 bits of the resized picture; and it lets Pillow decode a JPEG at the half
    of its size where that is enough, as we do. Neither augments. All read the same crops of boxes.

    What training costs beyond that is against the same peers: crops twice as large for the margin that boxes are moved in, by
    default; the usual augmentations of them, of which the loader makes what is left when the rest is done on the device; the same
    and what the device then does; and all of it in the loader. The limit of each is decoding the crops it reads, alone; that of
    the augmented ones counts no second face, of which the loader reads one for three frames in ten.
    """
    frames = 8 if small else FRAMES
    crops = {stream: jpeg_bytes(side, side) for stream, side in STORED.items()}
    margin = Pictures().margin
    wide = {stream: jpeg_bytes(*[stored_side(side, margin, BLOCK)] * 2) for stream, side in STORED.items()}
    with tempfile.TemporaryDirectory() as folder:
        sizes: dict[str, Any] = {"face_size": SIZES["face"], "eye_size": SIZES["left_eye"]}
        data = ScreenDataset(_table(Path(folder) / "bare.parquet", crops, 0.0, frames), "train", **sizes)
        room = _table(Path(folder) / "wide.parquet", wide, margin, frames)
        roomy = ScreenDataset(room, "train", **sizes)
        training = ScreenDataset(room, "train", **sizes, augmentations=usual())
        files = [_files(Path(folder), number, crops) for number in range(frames)]
        order = data.order(generator(0, 0))[: len(data)].tolist()
        means = {stream: torch.full((3, side, side), 0.5) for stream, side in SIZES.items()}

        def views(whole: bool) -> Batch:
            keys = [Key(0, place, i) for place, i in enumerate(order)]
            return collate([Views(training, 0, whole)[key] for key in keys])

        def finished() -> Batch:
            begun = views(False)
            return training.finished(hardware.place(begun), begun.later)

        candidates: dict[str, Callable[[], object]] = {
            "published": lambda: _batch(
                [{stream: _read(f, SIZES[stream], means[stream]) for stream, f in files[i].items()} for i in order]
            ),
            "fair": lambda: _batch([{s: _drafted(f, SIZES[s]) for s, f in files[i].items()} for i in order]),
            "ours": lambda: collate([data.sample(i, None) for i in order]),
            "with margin": lambda: collate([roomy.sample(i, None) for i in order]),
            "augmented": lambda: views(False),
            "augmented and finished": finished,
            "augmented in the loader": lambda: views(True),
            "decode": lambda: _decode(crops, SIZES, frames),
            "decode wide": lambda: _decode(
                wide, {s: round((1 + 2 * margin) * side) for s, side in SIZES.items()}, frames
            ),
        }
        timings = interleaved(candidates, rounds, hardware.device)
        difference = _difference(data, files[0], means)
    least = {"ours": timings.pop("decode").best}
    alone = timings.pop("decode wide").best
    yield Result(
        name=f"screen loader, face {STORED['face']} to {SIZES['face']}, eyes {SIZES['left_eye']}",
        unit="frames",
        units=frames,
        timings=timings,
        goals={"ours": 5.5},
        difference=difference,
        tolerance=0.05,  # on average: a JPEG decoded at half its size is filtered otherwise than one resized
        limits={n: least.get(n, alone) / t.best for n, t in timings.items() if n not in ("published", "fair")},
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


def _table(path: Path, crops: dict[str, bytes], margin: float, frames: int) -> str:
    with ScreenWriter(path, dataset="benchmark", boxes="none", crop={"margin": margin}) as writer:
        writer.write(_samples(crops, frames))
    return str(path)


def _samples(crops: dict[str, bytes], frames: int) -> Sequence[ScreenSample]:
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
        for number in range(frames)
    ]


def _files(folder: Path, number: int, crops: dict[str, bytes]) -> dict[str, Path]:
    files = {}
    for stream, coded in crops.items():
        files[stream] = folder / stream / f"{number:05d}.jpg"
        files[stream].parent.mkdir(exist_ok=True)
        files[stream].write_bytes(coded)
    return files


def _decode(crops: Mapping[str, bytes], sides: Mapping[str, int], frames: int) -> None:
    for _ in range(frames):
        for stream, coded in crops.items():
            decode_image(stream, coded, at_least=(sides[stream],) * 2)


def _batch(samples: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {stream: torch.stack([sample[stream] for sample in samples]) for stream in samples[0]}


def _resized(image: Image.Image, side: int) -> Image.Image:
    return image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR)


def _drafted(file: Path, side: int) -> UInt8[Tensor, "h w 3"]:
    image = Image.open(file)
    image.draft("RGB", (side, side))
    return torch.from_numpy(np.array(_resized(image, side)))


def _read(file: Path, side: int, mean: Float[Tensor, "3 h w"]) -> Float[Tensor, "3 h w"]:
    return pixels.to_dtype(pixels.to_image(_resized(Image.open(file), side)), torch.float32, scale=True) - mean


def _difference(data: ScreenDataset, files: dict[str, Path], means: dict[str, Tensor]) -> float:
    """How far the two are apart on average, of the range from black to white."""
    inputs = data[0].inputs
    far = [
        (getattr(inputs, stream).float() / 255 - means[stream] - _read(file, SIZES[stream], means[stream])).abs().mean()
        for stream, file in files.items()
    ]
    return largest(map(float, far))
