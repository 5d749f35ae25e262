"""One face after another, from JPEG files to a batch for training: one picture of 8 bits against two of floats."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from gaze.backbones.normalization import IMAGENET_MEAN, IMAGENET_STD, Normalize
from gaze.benchmark.clock import interleaved
from gaze.benchmark.limits import jpeg_bytes
from gaze.benchmark.result import Result, largest
from gaze.clip.frozen import CLIP_MEAN, CLIP_STD
from gaze.datasets.directions import Directions
from gaze.datasets.face_augment import Blur, ColourJitter, Flip, Grey
from gaze.datasets.face_view import Augmentation
from gaze.datasets.faults import Fault
from gaze.datasets.image import read_image
from gaze.faces.files import file_picture
from gaze.faces.in_arrays import InArrays
from gaze.faces.index import index_table
from gaze.hardware import Hardware
from gaze.loading import Key, Views
from gaze.types import Batch, collate

PICTURES = 64
SIDE = 224  # px, of the files and of the samples, as GazeHub's scripts prepare faces


def faces_loader(rounds: int, hardware: Hardware, small: bool = False) -> Iterator[Result]:
    """Normalised faces as they are prepared, in one process; no peer augments.

    The published way is that of AIPMLab/Gazeformer's reader, written anew: decoded, copied, and transformed twice, for CLIP
    (bicubic) and for the CNN. In the place of the fair peer stands GazeTR's reader, which makes one tensor of floats. Pillow
    decodes in both where they call OpenCV, which is no dependency of ours and about as fast; it gives RGB at once, so nothing is
    turned from BGR.

    "augmented" is what the loader makes of the usual augmentations, and "and finished" that and what the device then does.
    """
    pictures = 8 if small else PICTURES
    with tempfile.TemporaryDirectory() as folder:
        data = jpeg_bytes(SIDE, SIDE)
        files = [Path(folder) / f"{i}.jpg" for i in range(pictures)]
        for file in files:
            file.write_bytes(data)
        source = _Folder(folder, pictures)
        plain = Directions(source, "train", face_size=SIDE, check="labels")
        training = Directions(source, "train", face_size=SIDE, check="labels", augmentations=usual())

        def begun() -> Batch:
            return collate([Views(training, 0, whole=False)[Key(0, i, i)] for i in range(pictures)])

        def finished() -> Batch:
            batch = begun()
            return training.finished(hardware.place(batch), batch.later)

        for_clip, for_cnn = _transform(CLIP_MEAN, CLIP_STD), _transform(IMAGENET_MEAN, IMAGENET_STD)

        def published() -> tuple[Tensor, Tensor]:
            both = [_twice(file, for_clip, for_cnn) for file in files]
            return torch.stack([one for one, _ in both]), torch.stack([other for _, other in both])

        candidates: dict[str, Callable[[], object]] = {
            "published": published,
            "fair": lambda: torch.stack([_once(file) for file in files]),
            "ours": lambda: collate([plain[i] for i in range(pictures)]),
            "augmented": begun,
            "augmented and finished": finished,
            "decode": lambda: _decode(files),
        }
        timings = interleaved(candidates, rounds, hardware.device)
        face = hardware.place(plain[0]).inputs.face[None].cpu()
        expected = _twice(files[0], for_clip, for_cnn)
    ours = Normalize(CLIP_MEAN, CLIP_STD)(face)[0], Normalize()(face)[0]
    least = timings.pop("decode").best
    yield Result(
        name=f"faces loader, {SIDE} px",
        unit="pictures",
        units=pictures,
        timings=timings,
        goals={"ours": 9.0},
        difference=largest(float((a - b).abs().max()) for a, b in zip(ours, expected, strict=True)),
        tolerance=0.05,  # decoders may differ by a level of 255
        limits={name: least / timing.best for name, timing in timings.items() if name not in ("published", "fair")},
    )


def usual() -> list[Augmentation]:
    """The augmentations of conf/dataset/xgaze.yaml."""
    return [
        Flip(probability=0.5),
        ColourJitter(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, probability=1.0),
        Grey(probability=0.1),
        Blur(sigma=0.01, probability=0.1),
    ]


class _Folder(InArrays):
    """Pictures of a folder, of one person who looks straight ahead."""

    normalised = True

    def __init__(self, root: str, count: int) -> None:
        self.root, self.name, self.count = root, "benchmark", count

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """A row for each picture."""
        paths = [f"{i}.jpg" for i in range(self.count)]
        ahead = np.tile([0.0, 0.0, -1.0], (self.count, 1))
        told = {"subject": "nobody", "split": "train", "file": self.root, "row": list(range(self.count))}
        return index_table(self.count, dataset=self.name, path=paths, gaze=ahead, **told), []  # type: ignore[arg-type]

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture of a file."""
        return file_picture(self.root, path)


def _transform(mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image], Tensor]:
    return v2.Compose(
        [
            v2.Resize(SIDE, interpolation=v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(SIDE),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(mean), list(std)),
        ]
    )


def _twice(
    file: Path, first: Callable[[Image.Image], Tensor], second: Callable[[Image.Image], Tensor]
) -> tuple[Float[Tensor, "3 h w"], Float[Tensor, "3 h w"]]:
    picture = Image.open(file).convert("RGB")
    return first(copy.deepcopy(picture)), second(picture)


def _once(file: Path) -> Float[Tensor, "3 h w"]:
    rgb = np.asarray(Image.open(file).convert("RGB").resize((SIDE, SIDE)))
    return torch.from_numpy(rgb / np.float32(255)).permute(2, 0, 1).contiguous()


def _decode(files: Sequence[Path]) -> None:
    for file in files:
        read_image(file)
