"""Predictions on photographs: each with an overlay of its own size, and all of them as numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.image import ImageError, read_image
from gaze.errors import UserError
from gaze.inference.heads import HeadsError, HeadSource
from gaze.inference.landmarker import NoFace
from gaze.inference.outbox import Outbox
from gaze.inference.predictor import ScenePredictor, people
from gaze.pictures.samples import draw_prediction
from gaze.pictures.sheet import save_picture

logger = logging.getLogger(__name__)

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")

A = TypeVar("A")


class Answer(NamedTuple):
    """What is said of a picture."""

    overlay: UInt8[Tensor, "3 H W"]
    people: list[dict[str, Any]]


@runtime_checkable
class Reader(Protocol[A]):
    """A way to say something of the people in pictures."""

    def prepare(self, name: str, picture: UInt8[Tensor, "3 H W"]) -> A:
        """What is asked about a picture.

        Raises:
            HeadsError, NoFace: nothing can be asked about this one.
        """
        ...

    def answer(self, asked: Sequence[A]) -> Sequence[Answer]:
        """What is said of some pictures."""
        ...


class Heads(NamedTuple):
    """A picture, and who is asked about."""

    picture: UInt8[Tensor, "3 H W"]
    boxes: Float[Tensor, "n 4"]  # fractions; NaN for whoever is in it


class SceneReader:
    """Says where in the picture people look."""

    def __init__(self, predictor: ScenePredictor, heads: HeadSource) -> None:
        self.predictor, self.heads = predictor, heads

    def prepare(self, name: str, picture: UInt8[Tensor, "3 H W"]) -> Heads:
        """See `Reader.prepare`."""
        return Heads(picture, self.heads(name, picture))

    def answer(self, asked: Sequence[Heads]) -> list[Answer]:
        """See `Reader.answer`."""
        predictions = self.predictor([one.picture for one in asked], [one.boxes for one in asked])
        return [
            Answer(
                draw_prediction(picture, boxes, prediction),
                people(boxes, prediction, (picture.shape[-2], picture.shape[-1])),
            )
            for (picture, boxes), prediction in zip(asked, predictions, strict=True)
        ]


def predict_images(
    predictor: ScenePredictor, heads: HeadSource, source: Path, out: Path, about: dict[str, Any], batch_size: int = 8
) -> Path:
    """Predict where people look in an image, or in all in a folder and below; see `read_images`."""
    return read_images(SceneReader(predictor, heads), source, out, about, batch_size)


def read_images(reader: Reader[A], source: Path, out: Path, about: dict[str, Any], batch_size: int = 8) -> Path:
    """Predict for an image, or for all in a folder and below, and return the file of results.

    An image that cannot be used is skipped and noted in the results, unless it is the only one. `a.jpg`
    becomes `a_gaze.jpg` in `out`, upright and of the same size.

    Raises:
        UserError: no image can be used, `out` holds a file that is not ours, or `batch_size` is less than 1.
        ImageError, HeadsError, NoFace: the only image, its head boxes or its faces cannot be used.
    """
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}; expected a number of images, 1 or more")
    root, names = find_images(source, out)
    overlays = {name: overlay_name(name) for name in names}
    outbox = Outbox(out, list(overlays.values()), about)
    records: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    for start in range(0, len(names), batch_size):
        batch = list(_usable(root, names[start : start + batch_size], reader, len(names) == 1, skipped))
        answers = reader.answer([asked for _, asked in batch])
        for (name, _), answer in zip(batch, answers, strict=True):
            height, width = answer.overlay.shape[-2:]
            save_picture(answer.overlay, outbox.path(overlays[name]))
            records.append(
                {"image": name, "width": width, "height": height, "overlay": overlays[name], "people": answer.people}
            )
    if not records:
        raise UserError(f"none of the {len(names)} images in {source} can be used; the first: {skipped[0]['reason']}")
    return outbox.finish({"images": records, "skipped": skipped})


def find_images(source: Path, out: Path) -> tuple[Path, list[str]]:
    """A folder, and the images in and below it, sorted; what lies in `out` is left out.

    Raises:
        UserError: there is nothing, or no image.
    """
    if not source.exists():
        raise UserError(f"source={source} does not exist; give an image, a folder of images or a video")
    if not source.is_dir():
        return source.parent, [source.name]
    mine = out.resolve()
    files = [
        file
        for file in sorted(source.rglob("*"))
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and mine not in file.resolve().parents
    ]
    if source.resolve() == mine:
        raise UserError(f"out={out} is the source folder itself; give another folder, so that results stay apart")
    if not files:
        raise UserError(f"no image in {source} or below; expected files ending in {', '.join(SUFFIXES)}")
    return source, [file.relative_to(source).as_posix() for file in files]


def overlay_name(name: str) -> str:
    """`people/a.jpg` becomes `people/a_gaze.jpg`; a file without a known ending becomes a PNG."""
    path = Path(name)
    suffix = path.suffix if path.suffix.lower() in SUFFIXES else f"{path.suffix}.png"
    return path.with_name(f"{path.stem}_gaze{suffix}").as_posix()


def _usable(
    root: Path, names: list[str], reader: Reader[A], only: bool, skipped: list[dict[str, str]]
) -> Iterator[tuple[str, A]]:
    """Name, and what is asked, of those that can be used; the others go to `skipped`."""
    for name in names:
        try:
            yield name, reader.prepare(name, read_image(root / name))
        except (ImageError, HeadsError, NoFace) as error:
            if only:
                raise
            logger.warning("skipped %s", error)
            skipped.append({"image": name, "reason": str(error)})
