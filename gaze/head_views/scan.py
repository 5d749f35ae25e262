"""What must be read in full of a file of head views to be known, once: which masks say something, and some vertices.

It takes minutes for a large data set, so it is kept in a small file beside each, and made again when that file changes.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool, Float32

from gaze.datasets.faults import DatasetError
from gaze.faces.files import opened

log = logging.getLogger(__name__)

VERSION = 1
FOLDER = ".head_views"  # beside the files
ROWS = 32  # that are in memory at once


@dataclass(frozen=True)
class Scan:
    """One row per view."""

    head: Bool[np.ndarray, "n"]  # is the mask of the head neither empty nor full?
    eyes: Bool[np.ndarray, "n"]  # is that of one eye at least? True where files have none
    empty: Bool[np.ndarray, "n"]  # is the head's empty?
    vertices: Float32[np.ndarray, "n v 3"]  # every so many, camera frame


def scanned(path: Path, keys: Mapping[str, str | None], stride: int | None, cache_dir: Path | None = None) -> Scan:
    """The scan of a file, from where it is kept if the file has not changed since.

    Args:
        path: of the HDF5 file, whose arrays were checked.
        keys: what it calls each array.
        stride: keep every so many vertices; None: none.
        cache_dir: where scans are kept of files in folders that can't be written to; None: ~/.cache/gaze/head_views.

    Raises:
        DatasetError: the file can't be read to its end.
        ImageError: it can't be opened.
    """
    fallback = cache_dir or Path.home() / ".cache" / "gaze" / "head_views"
    number = blake2b(os.fsencode(path.resolve()), digest_size=6).hexdigest()
    places = [
        path.parent / FOLDER / f"{path.stem}.{stride or 0}.npz",
        fallback / f"{path.stem}-{number}.{stride or 0}.npz",
    ]
    stamp = _stamp(path, keys, stride)
    for place in places:
        kept = _kept(place, stamp)
        if kept is not None:
            return kept
    _say(path.parent)
    try:
        with opened(str(path)) as file:
            scan = _scan(file, keys, stride)
    except (OSError, RuntimeError) as error:
        raise DatasetError(f"{path} is damaged ({str(error).splitlines()[0][:120]}); fetch it again") from error
    if not any(_keep(place, stamp, scan) for place in places):
        log.warning("%s and %s can't be written to; what masks say is looked up again by every run", *places)
    return scan


@cache
def _say(folder: Path) -> None:
    """Once for many files."""
    log.info("looking once at all masks of files in %s; what they say is kept in %s there", folder, FOLDER)


def _scan(file: h5py.File, keys: Mapping[str, str | None], stride: int | None) -> Scan:
    views = len(file[keys["face_patch"]])
    lows, highs = {}, {}
    for name in ("head_mask", "left_eye_mask", "right_eye_mask"):
        low, high = np.zeros(views, np.uint8), np.full(views, 255, np.uint8)  # as if it varied
        if keys[name] is not None:
            for start in range(0, views, ROWS):
                rows = slice(start, start + ROWS)
                masks = file[keys[name]][rows].reshape(len(low[rows]), -1)
                low[rows], high[rows] = masks.min(1), masks.max(1)
        lows[name], highs[name] = low, high
    varied = {name: highs[name] > lows[name] for name in lows}
    vertices = np.zeros((views, 0, 3), np.float32)
    if stride is not None and keys["vertice"] is not None:
        array = file[keys["vertice"]]
        # Read whole and then thinned: a strided selection of HDF5 is slower by far
        parts = [array[start : start + ROWS][:, ::stride] for start in range(0, views, ROWS)]
        vertices = np.concatenate(parts).astype(np.float32)
    return Scan(
        head=varied["head_mask"],
        eyes=varied["left_eye_mask"] | varied["right_eye_mask"],
        empty=highs["head_mask"] == 0,
        vertices=vertices,
    )


def _stamp(path: Path, keys: Mapping[str, str | None], stride: int | None) -> str:
    stat = path.stat()
    read = [keys[name] for name in ("face_patch", "head_mask", "left_eye_mask", "right_eye_mask", "vertice")]
    return json.dumps([VERSION, stat.st_size, stat.st_mtime_ns, stride, read])


def _kept(place: Path, stamp: str) -> Scan | None:
    try:
        with np.load(place, allow_pickle=False) as file:
            if str(file["stamp"]) != stamp:
                return None
            return Scan(*(file[name] for name in ("head", "eyes", "empty", "vertices")))
    except Exception:  # absent, or damaged, which numpy and zipfile tell in many ways: it is made again
        return None


def _keep(place: Path, stamp: str, scan: Scan) -> bool:
    """Write it whole or not at all: several runs may begin at once."""
    aside = place.with_name(f".{place.stem}.{os.getpid()}.npz")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        np.savez(aside, stamp=np.array(stamp), **vars(scan))
        os.replace(aside, place)
    except OSError:
        with suppress(OSError):  # of a folder that is none
            aside.unlink()
        return False
    return True
