"""Whether a file of head views has the arrays of the layout: by names and shapes, without reading one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import h5py
import numpy as np

from gaze.datasets.faults import DatasetError
from gaze.head_views.layout import KEYS

REMEDY = "fetch or write it again, or tell other names with key_map"


@dataclass(frozen=True)
class Sizes:
    """How much a file holds."""

    views: int
    height: int  # px, of pictures and masks
    width: int
    codes: int  # numbers of a view's latent code
    landmarks: int
    vertices: int  # 0 where there are none


def sizes_of(file: h5py.File, path: str, keys: Mapping[str, str | None]) -> Sizes:
    """The sizes of an open file, if it has all arrays of the layout.

    Args:
        path: for messages.
        keys: what files call each array, or None for those that they lack; see `layout.keys_of`.

    Raises:
        DatasetError: arrays are missing, or of other types, shapes or lengths.
    """
    there = {name: key for name, key in keys.items() if key is not None}
    missing = [key for key in there.values() if not isinstance(file.get(key), h5py.Dataset)]
    if missing:
        known = ", ".join(sorted(file)) or "nothing"
        raise DatasetError(f"{path} lacks {', '.join(missing)}; it has {known}; {REMEDY}")
    views = len(file[there["face_patch"]]) if file[there["face_patch"]].ndim else 0
    for name, key in there.items():
        _check(file[key], f"{path}: {key}", name, views)
    if not views:
        raise DatasetError(f"{path} holds no view; expected one at least; remove or restore it")
    height, width = file[there["face_patch"]].shape[1:3]
    for name in ("head_mask", "left_eye_mask", "right_eye_mask"):
        found = file[there[name]].shape[1:3] if name in there else (height, width)
        if found != (height, width):
            told = f"{there[name]} is {found[0]} x {found[1]} px and {there['face_patch']} {height} x {width}"
            raise DatasetError(f"{path}: {told}; expected masks as large as pictures; {REMEDY}")
    return Sizes(
        views=views,
        height=height,
        width=width,
        codes=file[there["latent_codes"]].shape[1],
        landmarks=file[there["facial_landmarks_3d"]].shape[1],
        vertices=file[there["vertice"]].shape[1] if "vertice" in there else 0,
    )


def _check(array: h5py.Dataset, place: str, name: str, views: int) -> None:
    """Refuse an array of another shape or type."""
    tail = [size for size in KEYS[name].tail if size != 1]
    found = [size for size in array.shape[1:] if size != 1]
    # An axis of any size may have size 1
    fits = len(found) == len(tail) and all(want in (None, size) for size, want in zip(found, tail, strict=True))
    fits = fits or (
        array.ndim == len(tail) + 1 and all(w in (None, s) for s, w in zip(array.shape[1:], tail, strict=True))
    )
    if array.ndim == 0 or not fits:
        wanted = " x ".join(["N", *("any" if size is None else str(size) for size in KEYS[name].tail)])
        raise DatasetError(f"{place} has shape {list(array.shape)}; expected {wanted}; {REMEDY}")
    if len(array) != views:
        raise DatasetError(f"{place} has {len(array)} rows beside {views} pictures; expected one a picture; {REMEDY}")
    pictures = name == "face_patch" or name.endswith("_mask")
    if array.dtype != np.uint8 if pictures else array.dtype.kind not in "fiu":
        raise DatasetError(f"{place} holds {array.dtype}; expected {'uint8' if pictures else 'numbers'}; {REMEDY}")
