"""The camera that took a photograph, as far as a user knows it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.errors import UserError
from gaze.face_normalization import pinhole
from gaze.plain_yaml import YamlError, plain_yaml

logger = logging.getLogger(__name__)

FORM = (
    'JSON or YAML with "camera_matrix", [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] or ROS\'s form with "data", and "image_width" '
    'and "image_height" in px'
)
ASPECT = 0.01  # by how much, of one, the scales of width and height may differ


class Camera:
    """A pinhole, for pictures of any size: calibrated, or a guess.

    Args:
        focal_px: focal length in pixels of the pictures, upright.
        centre_px: (x, y) of the principal point, (0, 0) being the corner of the first pixel; None: the middle.
        file: of a calibration by OpenCV or ROS, instead of both. It holds for pictures of the same aspect.

    Raises:
        UserError: they make no sense together, or the file can't be used.
    """

    def __init__(
        self, focal_px: float | None = None, centre_px: Sequence[float] | None = None, file: str | None = None
    ) -> None:
        if file is not None and (focal_px is not None or centre_px is not None):
            raise UserError("camera.file says what camera.focal_px and camera.centre_px say; give it, or them")
        if centre_px is not None and focal_px is None:
            raise UserError("camera.centre_px is given without camera.focal_px; a principal point alone is no camera")
        if focal_px is not None and not (math.isfinite(focal_px) and focal_px > 0):
            raise UserError(f"camera.focal_px={focal_px}; expected a focal length in pixels, above 0")
        if centre_px is not None and (len(centre_px) != 2 or not all(map(math.isfinite, centre_px))):
            raise UserError(f"camera.centre_px={list(centre_px)}; expected two numbers, x and y in pixels")
        self.focal_px, self.centre_px, self.file = focal_px, centre_px, file
        self.calibration = None if file is None else _read(Path(file))

    @property
    def known(self) -> bool:
        """Was a camera given, or is it a guess?"""
        return self.focal_px is not None or self.calibration is not None

    @property
    def about(self) -> dict[str, Any]:
        """What it rests on, for results."""
        if self.file is not None:
            return {"from": "file", "file": self.file}
        if self.focal_px is not None:
            centre = "middle" if self.centre_px is None else list(self.centre_px)
            return {"from": "given", "focal_px": self.focal_px, "centre_px": centre}
        return {"from": "guess", "focal_px": "width", "centre_px": "middle"}

    def matrix(self, name: str, size: tuple[int, int]) -> Float[Tensor, "3 3"]:
        """The camera matrix of a picture of `size` (height, width), in pixels as in `gaze.geometry`.

        Raises:
            UserError: the calibration is of pictures of another aspect; with the picture's name.
        """
        height, width = size
        if self.calibration is not None:
            matrix, (wide, high) = self.calibration
            if abs(width / wide / (height / high) - 1) > ASPECT:
                raise UserError(
                    f"{name} has {width} x {height} pixels, and {self.file} is of a camera of {wide:g} x {high:g}; expected the "
                    "same aspect: give the calibration of this camera, held as it was"
                )
            return torch.diag(torch.tensor([width / wide, height / high, 1.0], dtype=torch.float64)) @ matrix
        matrix = pinhole(width, height, self.focal_px)
        if self.centre_px is not None:
            matrix[:2, 2] = torch.tensor(self.centre_px, dtype=torch.float64)
        return matrix


def _read(path: Path) -> tuple[Float[Tensor, "3 3"], tuple[float, float]]:
    """The matrix and the (width, height) that a file holds."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text) if path.suffix.lower() == ".json" else plain_yaml(text, path)
    except (OSError, ValueError) as error:
        told = error.strerror if isinstance(error, OSError) else None
        reason = told or (error if isinstance(error, YamlError) else "it is neither JSON nor YAML")
        raise UserError(f"camera.file={path} can't be read ({reason}); expected {FORM}") from error
    try:
        given = document["camera_matrix"]
        matrix = torch.tensor(given["data"] if isinstance(given, dict) else given, dtype=torch.float64).reshape(3, 3)
        size = float(document["image_width"]), float(document["image_height"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"camera.file={path} holds no camera; expected {FORM}") from error
    if not matrix.isfinite().all() or not (matrix.diagonal() > 0).all() or min(size) <= 0:
        raise UserError(
            f"camera.file={path} holds {matrix.tolist()} for {size} px, which is no camera; expected {FORM}"
        )
    if _distortion(document):
        logger.warning("%s: the distortion of the lens is not corrected; undistort the pictures first", path)
    matrix[:2, 2] += 0.5  # OpenCV's (0, 0) is the middle of the first pixel
    return matrix, size


def _distortion(document: dict[str, Any]) -> bool:
    given = document.get("distortion_coefficients", document.get("dist_coeffs"))
    numbers = given.get("data") if isinstance(given, dict) else given
    return bool(numbers) and any(abs(value) > 0 for value in torch.tensor(numbers).flatten().tolist())
