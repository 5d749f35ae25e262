"""Points of gaze of pictures, videos and data sets: a table, a picture of the screens, and what was left out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.datasets.image import ImageError
from gaze.devices import Device
from gaze.errors import UserError
from gaze.inference.images import find_images
from gaze.inference.landmarker import NoFace, SeveralFaces
from gaze.inference.looks import Finder, Look, Screens, look_at, screens_of
from gaze.inference.outbox import Outbox
from gaze.inference.screen_predictor import ScreenPredictor
from gaze.inference.screen_table import ScreenRows
from gaze.inference.video import is_video
from gaze.inference.video_file import read_frames
from gaze.pictures.gaze_points import gaze_picture
from gaze.recordings.crops import Frame
from gaze.types import ScreenTargets, collate

logger = logging.getLogger(__name__)

T = TypeVar("T")
TABLE, PICTURE = "predictions.csv", "points.png"


class Held(NamedTuple):
    """How the users of all pictures hold which device; None: not known."""

    device: Device | None = None
    orientation: int = 1


class Results:
    """A folder with the table, the picture and results.json.

    Args:
        out: the folder.
        about: what results.json begins with.
        calibrated: are points corrected?

    Raises:
        UserError: it holds files that are not of an earlier prediction.
    """

    def __init__(self, out: Path, about: dict[str, Any], calibrated: bool) -> None:
        self.outbox, self.calibrated = Outbox(out, [TABLE, PICTURE], about), calibrated
        self.rows, self.skipped = ScreenRows(), list[dict[str, str]]()

    def skip(self, name: str, error: Exception) -> None:
        """Note a picture that can't be used."""
        logger.warning("skipped %s", error)
        self.skipped.append({"sample": name, "reason": str(error)})

    def write(self, source: Path) -> Path:
        """Write everything, and return the table.

        Raises:
            UserError: nothing could be used.
        """
        rows = self.rows
        if not len(rows):
            first = f"; the first: {self.skipped[0]['reason']}" if self.skipped else ""
            raise UserError(f"none of the {len(self.skipped)} pictures in {source} can be used{first}")
        with self.outbox.writing(TABLE) as file:
            rows.write(file, self.calibrated)
        screens = rows.all_screens()
        with self.outbox.writing(PICTURE) as file:
            gaze_picture(
                file,
                rows.names,
                torch.cat(rows.points),
                torch.cat(rows.truth),
                torch.cat(rows.log_scale),
                screens.screen_cm,
                screens.centre,
            )
        self.outbox.finish({"samples": len(rows), "skipped": self.skipped})
        return self.outbox.path(TABLE)


def predict_pictures(
    predictor: ScreenPredictor,
    landmarker: Callable[[bool], AbstractContextManager[Finder]],
    source: Path,
    out: Path,
    about: dict[str, Any],
    held: Held,
    batch_size: int = 8,
    every: int = 1,
) -> Path:
    """Predict for a picture, for all in a folder and below, or for a video; return predictions.csv.

    Pictures are of one user each, as a camera that doesn't mirror saw them. What can't be used is skipped and noted in
    results.json, unless it is the only one.

    Args:
        landmarker: opens what finds faces; for a video, or not.
        every: of a video, frames from one prediction to the next.

    Raises:
        UserError: nothing can be used, `out` holds files that are not ours, or a setting makes no sense.
        ImageError, NoFace, SeveralFaces: the only picture can't be used.
    """
    for name, value in (("batch_size", batch_size), ("every", every)):
        if value < 1:
            raise UserError(f"{name}={value}; expected 1 or more")
    screens_of(held.device, held.orientation, 1)  # so that a mistake is found before the landmarker is opened
    video = is_video(source)
    shown = _frames(source, every) if video else _images(source, out)
    results = Results(out, about, predictor.calibration is not None)
    with landmarker(video) as find:
        looks = _looks(shown, find, predictor, held, results)
        while batch := list(islice(looks, batch_size)):
            names, found = [name for name, _ in batch], [look for _, look in batch]
            said = predictor(collate([look.inputs for look in found]))
            screens = screens_of(held.device, held.orientation, len(batch))
            results.rows.add(names, said, screens, doubts=[look.doubt for look in found])
    return results.write(source)


def predict_dataset(
    predictor: ScreenPredictor, data: Dataset, source: Path, out: Path, about: dict[str, Any], batch_size: int = 8
) -> Path:
    """Predict for the frames of a data set of screens, whose crops need no landmarks; return predictions.csv.

    Raises:
        UserError: `out` holds files that are not ours.
    """
    results = Results(out, about, predictor.calibration is not None)
    for rows in _batches(range(len(data)), batch_size):
        batch = collate([data.sample(row, None) for row in rows])
        names = [data.name(row) for row in rows]
        results.rows.add(names, predictor(batch.inputs), _screens(batch.targets), batch.targets.point)
    results.skipped = [{"sample": fault.where, "reason": str(fault)} for fault in getattr(data, "faults", [])]
    return results.write(source)


Shown = tuple[str, Callable[[], UInt8[Tensor, "3 H W"]], int | None]  # name, pixels, milliseconds of a video


def _images(source: Path, out: Path) -> list[Shown]:
    root, names = find_images(source, out)
    return [(name, lambda file=root / name: _upright(file), None) for name in names]  # type: ignore[misc]


def _frames(source: Path, every: int) -> Iterator[Shown]:
    for frame in read_frames(source):
        if frame.number % every == 0:
            name = f"{source.name}#{frame.number}"
            yield name, lambda picture=frame.picture: picture, round(1000 * frame.time)  # type: ignore[misc]


def _upright(file: Path) -> UInt8[Tensor, "3 H W"]:
    """The picture as EXIF turns it.

    Raises:
        ImageError: it can't be read, or EXIF mirrors it, which would exchange left and right.
    """
    frame = Frame(file)
    frame.header()
    image = frame.image()
    assert image is not None
    return image


def _looks(
    shown: Iterable[Shown], find: Finder, predictor: ScreenPredictor, held: Held, results: Results
) -> Iterator[tuple[str, Look]]:
    only = isinstance(shown, list) and len(shown) == 1
    for name, pixels, time_ms in shown:
        try:
            yield name, look_at(name, pixels(), find, predictor.views, held.orientation, time_ms)
        except (ImageError, NoFace, SeveralFaces) as error:
            if only:
                raise
            results.skip(name, error)


def _screens(targets: ScreenTargets) -> Screens:
    assert targets.orientation is not None, "the data sets of screens tell it"
    unknown = torch.full_like(targets.point, torch.nan)
    known = {name: getattr(targets, name) for name in ("screen_cm", "screen_px", "centre")}
    filled = {name: unknown if value is None else value for name, value in known.items()}
    return Screens(**filled, orientation=targets.orientation)


def _batches(rows: range, size: int) -> Iterator[range]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
