"""What the simple predictor of label lag sees of a frame: boxes, a few landmarks and the coarse light of the eyes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from PIL import Image

from gaze.landmarks.points import LEFT_CORNERS, LEFT_IRIS, LEFT_LIDS, RIGHT_CORNERS, RIGHT_IRIS, RIGHT_LIDS
from gaze.recordings.margins import inner, one_margin
from gaze.recordings.reading import RowReader
from gaze.recordings.schema import STREAMS, header

EYES = ("left_eye", "right_eye")
LANDMARKS = (*LEFT_CORNERS, *RIGHT_CORNERS, *LEFT_LIDS, *RIGHT_LIDS, LEFT_IRIS[0], RIGHT_IRIS[0])
GRID = (8, 5)  # cells across and down an eye
COLUMNS = ("frame_w", "frame_h", "landmarks", *(f"{stream}_box" for stream in STREAMS))
PICTURES = tuple(f"{eye}_{kind}" for eye in EYES for kind in ("bytes", "path"))


def lag_features(rows: RowReader, numbers: Sequence[int]) -> Float[np.ndarray, "n f"]:
    """Features of some rows; those that no row has are left out, and others are NaN where a row lacks them.

    Args:
        rows: reads COLUMNS and PICTURES.
        numbers: of the rows.
    """
    margin = one_margin({file: header(file) for file in rows.files})
    found = np.stack([_features(rows.row(number), margin) for number in numbers])
    return found[:, np.isfinite(found).any(0)]


def _features(row: dict, margin: float) -> Float[np.ndarray, "f"]:
    frame = np.array([row["frame_w"] or np.nan, row["frame_h"] or np.nan] * 2, np.float64)
    boxes = [row[f"{stream}_box"] / frame for stream in STREAMS]
    landmarks = row["landmarks"].reshape(-1, 3)[list(LANDMARKS), :2].astype(np.float64)
    eyes = [_light(row[f"{eye}_bytes"] or row[f"{eye}_path"], margin) for eye in EYES]
    return np.concatenate([*boxes, landmarks.reshape(-1), *eyes])


def _light(picture: bytes | str | None, margin: float) -> Float[np.ndarray, "g"]:
    """Mean intensities of the cells of an eye, less their mean: what is left is where the iris is."""
    if picture is None:
        return np.full(GRID[0] * GRID[1], np.nan)
    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            eye = inner((0.0, 0.0, float(image.width), float(image.height)), margin)
            within = (eye[0], eye[1], eye[0] + eye[2], eye[1] + eye[3])
            cells = np.asarray(image.convert("L").resize(GRID, Image.Resampling.BOX, within), np.float64).reshape(-1)
    except OSError:  # other checks name pictures that can't be read
        return np.full(GRID[0] * GRID[1], np.nan)
    return cells - cells.mean()
