"""A person's calibration: fitted to dots, kept in a JSON file, applied to predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.calibration.adapted import Change, read_change, write_change
from gaze.calibration.corrections import Correction, as_dict, from_dict
from gaze.calibration.dots import CalibrationError, Dots
from gaze.calibration.methods import Method, method_named
from gaze.calibration.selection import NONE, candidates, choose, left_out_error

VERSION = 1
SCALES = (0.7, 1.4)  # beyond these, or this far off, more is wrong than a person's eyes
OFFSET_CM = 3.0
CHANGE = "tensors"  # of a correction: the file beside the JSON that they are in


@dataclass(frozen=True)
class Calibration:
    """The correction of one person's predictions by one model. `none` leaves them as they are.

    Methods that change the model itself have a `Change` as their correction: `gaze.calibration.calibrated` makes the
    person's model of it, and there is nothing to apply to points.
    """

    method: str
    correction: Correction | None
    dots: int
    frames: int
    matrix: list[list[float]]  # 2 x 2: the affine map nearest to the correction at the dots
    offset_cm: list[float]  # the mean shift of the dots
    left_out_cm: dict[str, float] = field(default_factory=dict)  # leave-one-dot-out error of what was compared
    warnings: list[str] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)  # the run and its fingerprint, the person

    def apply(self, point: Float[Tensor, "n 2"], features: Float[Tensor, "n f"] | None = None) -> Float[Tensor, "n 2"]:
        """The calibrated points, cm, as the points are.

        Raises:
            CalibrationError: the correction reads features, and there are none or of another number; or it is none
                of points, but of the model.
        """
        if self.correction is None:
            return point
        features = self.readable(features)
        features = None if features is None else features.cpu().double()
        return self.correction.apply(point.cpu().double(), features).to(point)

    def readable(self, features: Float[Tensor, "n f"] | None) -> Float[Tensor, "n f"] | None:
        """The features, or None if they are not read.

        Raises:
            CalibrationError: they are, and there are none or of another number.
        """
        width = 0 if self.correction is None else self.correction.width
        if width and (features is None or features.shape[-1] != width):
            found = "none" if features is None else str(features.shape[-1])
            raise CalibrationError(
                f"this {self.method} calibration reads {width} features and was given {found}; "
                f"use the model that it was made with"
            )
        return features if width else None

    def write(self, file: str | Path) -> None:
        """Keep it as JSON; the tensors of a changed model in a file of the same name that ends in .safetensors."""
        path = Path(file)
        plain = {name: value for name, value in vars(self).items() if name != "correction"}
        if isinstance(self.correction, Change):
            tensors = path.with_suffix(".safetensors")
            write_change(self.correction, tensors)
            plain["correction"] = {CHANGE: tensors.name}
        else:
            plain["correction"] = None if self.correction is None else as_dict(self.correction)
        path.write_text(json.dumps({"gaze_calibration": VERSION, **plain}, indent=1) + "\n")


def read_calibration(file: str | Path) -> Calibration:
    """The calibration in a JSON file.

    Raises:
        CalibrationError: there is no such file, or it is no calibration, or one of another version.
    """
    path = Path(file)
    if not path.is_file():
        raise CalibrationError(f"{path} does not exist; give a calibration that tools/calibrate.py wrote")
    try:
        plain: Any = json.loads(path.read_text())
    except ValueError as error:
        raise CalibrationError(
            f"{path} is no JSON: {error}; give a calibration that tools/calibrate.py wrote"
        ) from error
    version = plain.pop("gaze_calibration", None) if isinstance(plain, dict) else None
    if version != VERSION:
        found = "no calibration" if version is None else f"a calibration of version {version}"
        raise CalibrationError(f"{path} holds {found}; expected version {VERSION}; calibrate again")
    try:
        return Calibration(correction=_correction(plain.pop("correction"), path.parent), **plain)
    except CalibrationError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path} is a damaged calibration: {error!r}; calibrate again") from error


def calibrate(
    dots: Dots, methods: Mapping[str, Method], method: str | None = None, about: Mapping[str, str] | None = None
) -> Calibration:
    """A calibration by a method, or by the one that leave-one-dot-out finds best; none if nothing helps beyond noise.

    Args:
        methods: by name, the preferred first.
        method: the name of one of them; None: it is chosen.
        about: kept with the calibration.

    Raises:
        CalibrationError: the method is unknown, or needs other dots than these.
    """
    names = candidates(methods, dots, len(dots)) if method is None else [method]
    fits = {name: method_named(name, methods, dots) for name in names}
    errors = {}
    if len(dots) > 1:
        compared = {name: fit for name, fit in fits.items() if fit.needs < len(dots)}
        errors = {
            name: float(left_out_error(fit, dots, dots.frames).mean())
            for name, fit in [(NONE, None), *compared.items()]
        }
    chosen = [*names, NONE][int(choose(list(fits.values()), dots, dots.frames))] if method is None else method
    correction = None if chosen == NONE else fits[chosen].fit(dots, dots.frames)
    calibrated = dots.point if correction is None else correction.of(dots)
    matrix = _matrix(dots.point, calibrated)
    offset = (calibrated - dots.point).mean(0)
    return Calibration(
        chosen,
        correction,
        len(dots),
        int(dots.frames.sum()),
        matrix.tolist(),
        offset.tolist(),
        errors,
        _warnings(matrix, offset, len(dots), chosen),
        dict(about or {}),
    )


def _correction(plain: Any, folder: Path) -> Correction | None:
    if plain is None:
        return None
    return read_change(folder / plain[CHANGE]) if CHANGE in plain else from_dict(plain)


def _matrix(before: Float[Tensor, "k 2"], after: Float[Tensor, "k 2"]) -> Float[Tensor, "2 2"]:
    """The linear part of the map; the identity where dots do not tell."""
    x, y = before - before.mean(0), after - after.mean(0)
    if len(before) < 3 or float(torch.linalg.svdvals(x)[-1]) < 1e-3:
        return torch.eye(2, dtype=before.dtype)
    return torch.linalg.lstsq(x, y).solution.mT


def _warnings(matrix: Tensor, offset: Tensor, dots: int, method: str) -> list[str]:
    found = []
    for axis, scale in zip("xy", matrix.diagonal().tolist(), strict=True):
        if not SCALES[0] <= scale <= SCALES[1]:
            found.append(
                f"the scale of {axis} is {scale:.2f}, outside of {SCALES}: look for predictions in another unit, frame or "
                f"orientation than the dots, or for other crops than in training"
            )
    if float(offset.norm()) > OFFSET_CM:
        found.append(
            f"the offset is {float(offset.norm()):.1f} cm, more than {OFFSET_CM} cm: check where the camera sits on "
            f"this device"
        )
    if dots == 1 and method != NONE:
        found.append("one dot cannot show whether calibration helps; use three or more to have it checked")
    return found
