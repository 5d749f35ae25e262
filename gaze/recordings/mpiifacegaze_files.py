"""The files of one person of MPIIFaceGaze: lines of annotations, and what was measured of the laptop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from gaze.geometry import posed_screen_to_camera, rotation_matrix
from gaze.recordings.files import RecordingError, read_mat, read_text

SOURCE = "the MPIIFaceGaze download (www.collaborative-ai.org/research/datasets/MPIIFaceGaze)"
FIELDS = 28
_PICTURE = re.compile(r"[A-Za-z0-9_]+/[A-Za-z0-9_]+\.(?:jpg|jpeg|png)")


@dataclass(frozen=True)
class Laptop:
    """What was measured of one person's laptop."""

    screen_px: tuple[int, int]
    screen_mm: Float[np.ndarray, "2"]
    rotation: Float[np.ndarray, "3"]  # Rodrigues vector of the screen in the camera frame
    translation_mm: Float[np.ndarray, "3"]
    camera: Float[np.ndarray, "3 3"]

    def in_camera_cm(self, point_mm: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Points of the screen in the camera frame."""
        rotation, translation = (torch.from_numpy(v) for v in (self.rotation, self.translation_mm))
        return posed_screen_to_camera(torch.from_numpy(point_mm), rotation_matrix(rotation), translation).numpy()


@dataclass(frozen=True)
class Lines:
    """An annotation file."""

    number: list[int]  # of each line, from 1
    picture: list[str]
    values: Float[np.ndarray, "n 26"]
    eye: list[str]


def read_laptop(folder: Path) -> Laptop:
    """The calibration of one person's laptop.

    Raises:
        RecordingError: a file is missing or damaged, or its numbers are no such thing.
    """
    size = read_mat(folder / "screenSize.mat", ("width_pixel", "height_pixel", "width_mm", "height_mm"), SOURCE)
    pose = read_mat(folder / "monitorPose.mat", ("rvects", "tvects"), SOURCE)
    camera = read_mat(folder / "Camera.mat", ("cameraMatrix",), SOURCE)["cameraMatrix"]
    screen = _numbers(folder / "screenSize.mat", np.concatenate([v.reshape(-1) for v in size.values()]), (4,))
    if screen.min() <= 0:
        raise RecordingError(f"{folder}/screenSize.mat: a screen of {screen.tolist()}; expected sizes above 0")
    return Laptop(
        screen_px=(int(screen[0]), int(screen[1])),
        screen_mm=screen[2:],
        rotation=_numbers(folder / "monitorPose.mat", pose["rvects"].reshape(-1), (3,)),
        translation_mm=_numbers(folder / "monitorPose.mat", pose["tvects"].reshape(-1), (3,)),
        camera=_numbers(folder / "Camera.mat", camera, (3, 3)),
    )


def read_lines(path: Path) -> Lines:
    """The lines of an annotation file.

    Raises:
        RecordingError: a line has another number of fields, or something else than numbers.
    """
    numbers, pictures, values, eyes = [], [], [], []
    for number, line in enumerate(read_text(path, f"lines of {FIELDS} fields", SOURCE).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != FIELDS:
            raise RecordingError(f"{path}:line {number}: {len(fields)} fields; expected {FIELDS}; correct the line")
        if not _PICTURE.fullmatch(fields[0]):
            raise RecordingError(f"{path}:line {number}: the picture is {fields[0]!r}; expected such as day01/0005.jpg")
        try:
            values.append([float(field) for field in fields[1:-1]])
        except ValueError as error:
            raise RecordingError(f"{path}:line {number}: {error}; expected numbers; correct the line") from error
        numbers.append(number)
        pictures.append(fields[0])
        eyes.append(fields[-1])
    return Lines(numbers, pictures, np.asarray(values, dtype=np.float64).reshape(-1, FIELDS - 2), eyes)


def _numbers(path: Path, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape != shape or not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
        raise RecordingError(f"{path} holds an array of {array.shape}; expected {shape} finite numbers; restore it")
    return array.astype(np.float64)
