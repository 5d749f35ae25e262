"""Gaze as data sets write it, by the names that configs have for their frames (gaze/gaze_frames.py)."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from jaxtyping import Float

from gaze import gaze_frames
from gaze.gaze_frames import ANTIPODE, CAMERA, GAZE360, PITCH_YAW, YAW_PITCH

Array = np.ndarray

VECTORS = {"camera": CAMERA, "gaze360": GAZE360, "antipode": ANTIPODE}
ANGLES = {"pitch_yaw": PITCH_YAW, "yaw_pitch": YAW_PITCH}
SCALINGS = ("as_stored", "undo")


def chosen(name: str, value: str, choices: Collection[str]) -> str:
    """The value, if it is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(choices)}")
    return value


def of_vectors(stored: Float[Array, "n 3"], frame: str) -> Float[Array, "n 3"]:
    """Gaze vectors of vectors in one of `VECTORS`; they keep their length."""
    return VECTORS[frame].gaze(_tensor(stored)).numpy()


def of_angles(stored: Float[Array, "n 2"], order: str) -> Float[Array, "n 3"]:
    """Unit gaze vectors of angles in one of `ANGLES`."""
    return ANGLES[order].gaze(_tensor(stored)).numpy()


def to_pitch_yaw(stored: Float[Array, "n 2"], order: str) -> Float[Array, "n 2"]:
    """Pitch and yaw in radians, of angles in one of `ANGLES`."""
    return ANGLES[order].pitch_yaw(_tensor(stored)).numpy().copy()


def unscaled(gaze: Float[Array, "n 3"], scale: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    """Gaze without the scale of the virtual camera; see `gaze_frames.unscaled`."""
    return gaze_frames.unscaled(_tensor(gaze), _tensor(scale)).numpy()


def _tensor(values: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))
