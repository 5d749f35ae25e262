"""One picture after another, from JPEG files to samples for training."""

from __future__ import annotations

import tempfile
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

PICTURES = 16
LINE = "{path},0,0,0,0,0,0.5,0.5,0.5,0.5,280,200,360,280,1,synthetic,0\n"


def loader(rounds: int, size: tuple[int, int]) -> Result:
    """640 x 480 to `size`, cropped and every second one mirrored, in one process."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.jpg" for i in range(PICTURES)]
        data = jpeg_bytes()
        for file in files:
            file.write_bytes(data)
        (Path(folder) / "train_annotations_release.txt").write_text(
            "".join(LINE.format(path=file.name) for file in files)
        )
        options = {"root": folder, "split": "train", "image_size": size, "val_fraction": 0.0}
        augmented = GazeFollow(**options, crop=Crop(1.0), augmentations=[Flip(0.5)])  # type: ignore[arg-type]

        def published() -> None:
            for i, file in enumerate(files):
                reference.load(file, size, crop=True, flip=i % 2 == 0)

        def ours() -> None:
            for i in range(PICTURES):
                augmented.sample(i, torch.Generator().manual_seed(i))

        timings = interleaved({"published": published, "ours": ours}, rounds, torch.device("cpu"))
        decode = interleaved({"decode": lambda: [read_image(f) for f in files]}, rounds, torch.device("cpu"))
        image = GazeFollow(**options)[0].inputs.image  # type: ignore[arg-type]
        plain = Normalize()(image[None].float() / 255)[0]
        expected = reference.load(files[0], size, crop=False, flip=False)
    return Result(
        name=f"loader, 640 x 480 to {size[1]} x {size[0]}",
        unit="pictures",
        units=PICTURES,
        timings=timings,
        goals={"ours": 3.5},
        difference=float((plain - expected).abs().max()),
        tolerance=0.05,  # ours rounds to 8 bits after the resize, not before it: 1/255 over a spread of 0.225, twice
        limits={"ours": decode["decode"].best / timings["ours"].best},
    )
