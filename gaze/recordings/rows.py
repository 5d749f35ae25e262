"""Frames as rows of the table, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gaze.recordings.sample import Picture, ScreenSample
from gaze.recordings.schema import SCHEMA, STREAMS

# Two columns of the table are one pair in a sample
PAIRS = {
    "frame_size": ("frame_w", "frame_h"),
    "screen_px": ("screen_w_px", "screen_h_px"),
    "screen_pt": ("screen_w_pt", "screen_h_pt"),
    "screen_cm": ("screen_w_cm", "screen_h_cm"),
}
PICTURES = {"picture": "frame"} | {stream: stream for stream in STREAMS}
ARRAYS = ("landmarks", "blendshapes", "head_pose", "imu")  # numpy in a sample, the other lists are tuples


def table_of(samples: Sequence[ScreenSample], folder: Path) -> pa.Table:
    """The frames as rows; pictures that are files by their paths relative to `folder`, where the table will be.

    Raises:
        ValueError: a value does not fit its column.
    """
    rows = [_row(sample, folder) for sample in samples]
    return pa.table([_column(field, [row[field.name] for row in rows]) for field in SCHEMA], schema=SCHEMA)


def sample_of(row: Mapping[str, Any], folder: Path) -> ScreenSample:
    """The frame of a row of a file in `folder`. Columns that the row lacks are unknown."""
    known: dict[str, Any] = {}
    for name in set(ScreenSample.__dataclass_fields__) & set(row):
        value = row[name]
        known[name] = _value(name, value) if name in SCHEMA.names and _width(name) else value
    for name, (first, second) in PAIRS.items():
        pair = row.get(first), row.get(second)
        known[name] = None if None in pair else pair
    for name, column in PICTURES.items():
        path = row.get(f"{column}_path")
        known[name] = row.get(f"{column}_bytes") if path is None else Path(os.path.normpath(folder / path))
    known["attrs"] = dict(row.get("attrs") or ())
    return ScreenSample(**known)


def _row(sample: ScreenSample, folder: Path) -> dict[str, Any]:
    row = {name: getattr(sample, name, None) for name in SCHEMA.names}
    for name, columns in PAIRS.items():
        row |= zip(columns, getattr(sample, name) or (None, None), strict=True)
    for name, column in PICTURES.items():
        row |= _picture(column, getattr(sample, name), folder)
    return row | {"imu_valid": sample.imu is not None, "attrs": list(sample.attrs.items())}


def _picture(column: str, picture: Picture | None, folder: Path) -> dict[str, str | bytes | None]:
    path = Path(os.path.relpath(picture, folder)).as_posix() if isinstance(picture, Path) else None
    return {f"{column}_path": path, f"{column}_bytes": None if isinstance(picture, Path) else picture}


def _column(field: pa.Field, values: list[Any]) -> pa.Array:
    try:
        width = _width(field.name)
        if not width:
            return pa.array(values, field.type)
        numbers = np.full((len(values), width), np.nan, field.type.value_type.to_pandas_dtype())
        for place, value in enumerate(values):
            if value is not None:
                numbers[place] = np.asarray(value).reshape(width)
        return pa.FixedSizeListArray.from_arrays(pa.array(numbers.reshape(-1)), type=field.type)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(
            f"column {field.name} takes {field.type}, and a reader gave something else: {error}"
        ) from error


def _value(name: str, value: Any) -> Any:
    numbers = np.asarray(value, np.float32)
    if np.isnan(numbers).all():
        return None
    if name == "landmarks":
        return numbers.reshape(-1, 3)
    return numbers if name in ARRAYS else tuple(numbers.tolist())


def _width(name: str) -> int:
    kind = SCHEMA.field(name).type
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else 0
