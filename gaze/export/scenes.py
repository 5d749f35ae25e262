"""Scene models in files: where do the people in a picture look?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

import gaze
from gaze.calibration.calibrated import fingerprint
from gaze.export.facts import ExportError, Facts
from gaze.export.format import Format
from gaze.export.naming import NAMINGS, probabilities
from gaze.export.origin import identity
from gaze.export.plan import Plan, Wishes
from gaze.export.verification import Trial
from gaze.types import SceneInputs

# Images and people: each alone, several, images without anybody, and enough people for vectorised code paths.
COUNTS = ((1, 1), (1, 4), (2, 3), (3, 5), (4, 2), (1, 33))
TIMED = ((1, 1), (1, 4))  # images and people


class Scenes(Plan):
    """The plan for a scene model.

    Raises:
        ExportError: it can't be done as asked.
    """

    formats = ("onnx", "pt2")
    tolerance, unit, anywhere = 1e-4, "in a probability", False

    def __init__(self, run: str | Path, model: nn.Module, config: DictConfig, wishes: Wishes, kind: Format) -> None:
        for name, plain in (("preprocess", "inside"), ("weights", "float32"), ("calibration", None)):
            if getattr(wishes, name) != plain:
                raise ExportError(
                    f"{name}={getattr(wishes, name)} is for models of the point of gaze; leave it out for a scene model"
                )
        if wishes.names not in NAMINGS:
            raise ExportError(f"names={wishes.names} is unknown; expected {' or '.join(NAMINGS)}")
        self.size = _image_size(wishes.size, OmegaConf.select(config, "dataset.image_size"))
        _check_stride(model, self.size)
        self.model, self.names, self.naming = model, wishes.names, NAMINGS[wishes.names]
        self.name = str(config.get("name", "model"))
        self.graph, self.dynamic, self.about = self.naming.graph(model), self.naming.dynamic(), self._about()
        self.example, _ = self.naming.pack(scene(2, 5, self.size))
        scheme = "" if wishes.names == "gaze" else f"_{wishes.names}"
        self.stem = f"{self.name}_{self.size[0]}x{self.size[1]}{scheme}"

    def _about(self) -> str:
        height, width = self.size
        return f"{self.naming.describes}. Outputs are probabilities. H x W is {height} x {width}"

    def text(self, outputs: dict[str, Tensor], run: str | Path) -> str:
        height, width = outputs["heatmap"].shape[-2:]
        return Facts(
            self.name,
            self.names,
            self.size,
            (height, width),
            identity(run),
            fingerprint(run),
            gaze.__version__,
            self.naming.describes,
        ).text()

    def trials(self) -> Iterator[Trial]:
        for seed, (images, people) in enumerate(COUNTS):
            yield self._trial(f"{images} images with {people} people", scene(images, people, self.size, seed))

    def timed(self) -> Iterator[Trial]:
        for images, people in TIMED:
            asked = scene(images, people, self.size)
            yield self._trial("1 image, 1 person" if people == 1 else f"1 image, {people} people", asked)

    def _trial(self, what: str, asked: SceneInputs) -> Trial:
        inputs, rows = self.naming.pack(asked)
        return Trial(what, inputs, lambda: reference(self.model, asked), rows)


def scene(images: int, people: int, size: Sequence[int], seed: int = 0) -> SceneInputs:
    """Noise with head boxes of all kinds: usual, on a border, beyond it, of less than a cell, and none (NaN)."""
    rng = torch.Generator().manual_seed(seed)
    corner = torch.rand(people, 2, generator=rng)
    boxes = torch.cat([corner, corner + 0.02 + 0.3 * torch.rand(people, 2, generator=rng)], 1)
    odd = torch.tensor([[torch.nan] * 4, [-0.05, 0.1, 0.2, 0.3], [0.5, 0.5, 0.501, 0.501], [0.0, 0.0, 1.0, 1.0]])
    for i in range(1, people, 2):  # the first is usual
        boxes[i] = odd[i // 2 % len(odd)]
    image = torch.randint(0, 256, (images, 3, *size), dtype=torch.uint8, generator=rng)
    return SceneInputs(image, boxes, torch.randint(0, images, (people,), generator=rng))


@torch.no_grad()
def reference(model: nn.Module, inputs: SceneInputs) -> dict[str, Tensor]:
    """What PyTorch says about uint8 pictures."""
    return probabilities(model(SceneInputs(inputs.image.float() / 255, inputs.head_bbox, inputs.image_index)))


def _image_size(size: Sequence[int] | int | None, trained: Sequence[int] | None) -> tuple[int, int]:
    chosen = trained if size is None else [size, size] if isinstance(size, int) else size
    if chosen is None:
        raise ExportError("the run's config has no dataset.image_size; give size=[height,width] in pixels")
    if isinstance(chosen, str) or len(chosen) != 2 or not all(isinstance(n, int) and n > 0 for n in chosen):
        raise ExportError(f"size={chosen}; expected one number of pixels, or [height,width]")
    return chosen[0], chosen[1]


def _check_stride(model: nn.Module, size: tuple[int, int]) -> None:
    stride = getattr(getattr(model, "backbone", None), "stride", 1)
    if any(n % stride for n in size):
        height, width = (max(stride, round(n / stride) * stride) for n in size)
        raise ExportError(
            f"size is {size[0]} x {size[1]} px; expected multiples of the backbone's stride {stride}, such as "
            f"'size=[{height},{width}]'"
        )
