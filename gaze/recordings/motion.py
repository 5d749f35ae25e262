"""How a device was held and moved, brought to the times of frames."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gaze.recordings.files import RecordingError, read_json

log = logging.getLogger(__name__)

HOLDS = "the device's motion: lists, or a list of records, of DotNum, Time and CMDeviceMotion's values"
QUANTITIES = ("gravity", "rotationrate", "useracceleration")  # g, rad/s, g; the order of `ScreenSample.imu`
NAMES = ("dotnum", "time", *(f"{quantity}{axis}" for quantity in QUANTITIES for axis in "xyz"))
LATEST_S = 0.1  # a reading further from the frame says nothing about it; readings come at 60 Hz


@dataclass(frozen=True)
class Motion:
    """Readings of one recording, by dot and time."""

    dot: Float[np.ndarray, "r"]
    time_s: Float[np.ndarray, "r"]  # since the dot's recording began
    values: Float[np.ndarray, "r 9"]

    def at(self, dot: float, time_s: float) -> Float[np.ndarray, "9"] | None:
        """The readings at a time, between the neighbouring two on a line; None where none is near."""
        rows = np.flatnonzero(self.dot == dot)
        rows = rows[np.argsort(self.time_s[rows], kind="stable")]
        if not len(rows) or not np.abs(self.time_s[rows] - time_s).min() <= LATEST_S:
            return None
        return np.array([np.interp(time_s, self.time_s[rows], column) for column in self.values[rows].T])


def read_motion(path: Path, source: str) -> Motion | None:
    """The readings of a GazeCapture `motion.json`; None without the file, or without the values.

    The data set's README names the class (CMDeviceMotion) and the fields DotNum and Time, not the other keys.
    So keys are taken by their letters: Gravity.x, gravityX and {"gravity": {"x": ...}} are one.

    Raises:
        RecordingError: the file is damaged.
    """
    if not path.is_file():
        return None
    found = read_json(path, HOLDS, source)
    records = found if isinstance(found, list) else [found]
    if not all(isinstance(record, Mapping) for record in records):
        raise RecordingError(f"{path} holds neither lists nor records; expected {HOLDS}; restore or remove the file")
    flat = [_flat(record) for record in records]
    missing = [name for name in NAMES if any(name not in record for record in flat)]
    if missing or not flat:
        log.warning("%s has no %s; the frames of this recording get no IMU values", path, ", ".join(missing or NAMES))
        return None
    try:
        columns = np.stack(
            [
                np.concatenate([np.atleast_1d(np.asarray(record[name], dtype=np.float64)) for record in flat])
                for name in NAMES
            ]
        )
    except (TypeError, ValueError) as error:
        raise RecordingError(
            f"{path} has lists of different lengths, or no numbers ({error}); expected {HOLDS}; restore or remove the file"
        ) from error
    columns = columns[:, np.isfinite(columns).all(0)]
    return Motion(columns[0], columns[1], columns[2:].T)


def _flat(record: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The values by their names in small letters, those inside others with the outer name before theirs."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = above + re.sub(r"[^a-z0-9]", "", str(key).lower())
        if isinstance(value, Mapping):
            flat |= _flat(value, name)
        elif name in QUANTITIES and isinstance(value, list) and len(value) == 3:
            flat |= {f"{name}{axis}": part for axis, part in zip("xyz", value, strict=True)}
        else:
            flat[name] = value
    return flat
