"""One picture after another, from JPEG files to samples for training."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from gaze.backbones.normalization import Normalize
from gaze.benchmark import reference
from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import jpeg_bytes
from gaze.benchmark.result import Result
from gaze.datasets.augment import Crop, Flip
from gaze.datasets.gazefollow import GazeFollow
from gaze.datasets.image import read_image
from gaze.datasets.photometric import PhotometricDistort
from gaze.hardware import Hardware
from gaze.seeds import generator
from gaze.types import Batch, collate

PICTURES = 16
LINE = "{path},0,0,0,0,0,0.5,0.5,0.5,0.5,280,200,360,280,1,synthetic,0\n"


def loader(rounds: int, hardware: Hardware, size: tuple[int, int], small: bool = False) -> Iterator[Result]:
    """640 x 480 to `size`, cropped and every second one mirrored, in one process, from files to a batch.

    The limit is decoding the same files, one after the other, and nothing else. "with other colours" leaves
    `PhotometricDistort` for the device; "and finished" is that and what the device then does: floats and colours.
    """
    pictures = 4 if small else PICTURES
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.jpg" for i in range(pictures)]
        data = jpeg_bytes()
        for file in files:
            file.write_bytes(data)
        (Path(folder) / "train_annotations_release.txt").write_text(
            "".join(LINE.format(path=file.name) for file in files)
        )
        options = {"root": folder, "split": "train", "image_size": size, "val_fraction": 0.0}
        augmented = GazeFollow(**options, crop=Crop(1.0), augmentations=[Flip(0.5)])  # type: ignore[arg-type]
        steps = [Flip(0.5), PhotometricDistort()]
        coloured = GazeFollow(**options, crop=Crop(1.0), augmentations=steps)  # type: ignore[arg-type]
        order = generator(0, 0)

        def batch(data: GazeFollow) -> Batch:
            return collate([data.begun(i, generator(0, 0, i), order) for i in range(pictures)])

        def finished() -> Batch:
            begun = batch(coloured)
            return coloured.finished(hardware.place(begun), begun.later)

        candidates: dict[str, Callable[[], object]] = {
            "published": lambda: torch.stack(
                [reference.load(file, size, crop=True, flip=i % 2 == 0) for i, file in enumerate(files)]
            ),
            "ours": lambda: batch(augmented),
            "with other colours": lambda: batch(coloured),
            "and finished": finished,
            "decode": lambda: _decode(files),
        }
        timings = interleaved(candidates, rounds, hardware.device)
        image = GazeFollow(**options)[0].inputs.image  # type: ignore[arg-type]
        plain = Normalize()(image[None].float() / 255)[0]
        expected = reference.load(files[0], size, crop=False, flip=False)
    least = timings.pop("decode").best
    yield Result(
        name=f"loader, 640 x 480 to {size[1]} x {size[0]}",
        unit="pictures",
        units=pictures,
        timings=timings,
        goals={"ours": 5.0},
        difference=float((plain - expected).abs().max()),
        tolerance=0.05,  # ours rounds to 8 bits after the resize, not before it: 1/255 over a spread of 0.225, twice
        limits={name: least / timing.best for name, timing in timings.items() if name != "published"},
    )


def _decode(files: Sequence[Path]) -> None:
    for file in files:
        read_image(file)
