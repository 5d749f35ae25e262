"""What can be wrong with the pictures of a data set: each check drops the rows of the images it finds at fault."""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import numpy as np

from gaze.datasets.annotations import Rows
from gaze.datasets.faults import Fault
from gaze.datasets.image import ImageError, image_size, looks_whole, read_image
from gaze.datasets.paths import PathError, inside

_CHUNK = 256  # files a thread takes at a time


def check_paths(rows: Rows, root: str) -> tuple[Rows, list[Fault]]:
    """Rows whose image paths stay below the root; no image is opened."""
    distinct, image = rows.images()
    outcome = [_climbs(root, path) for path in distinct.to_pylist()]

    def fault(row: int) -> Fault:
        return Fault(rows.where(row), outcome[image[row]], "a path below the data root", "correct or remove the row")

    return _drop_images(rows, image, np.array([bool(o) for o in outcome], dtype=bool)[image], fault)


def check_images(
    rows: Rows, root: str, decode: bool, max_pixels: int, upright: bool = True
) -> tuple[Rows, list[Fault]]:
    """Rows of images that can be opened, with their true sizes.

    Args:
        decode: look at every pixel. Otherwise only at header and end of a file, which shows what is cut off.
        upright: see `read_image`.
    """
    distinct, image = rows.images()
    first = np.unique(image, return_index=True)[1]
    outcome = _sizes(root, distinct.to_pylist(), decode, max_pixels, upright)
    unusable = np.array([isinstance(size, str) for size in outcome], dtype=bool)
    size = np.array([(0, 0) if isinstance(size, str) else size for size in outcome], dtype=np.int64).reshape(-1, 2)
    declared = rows.size[first]
    differs = ~unusable & (declared > 0).all(axis=1) & (declared != size).any(axis=1)

    def fault(row: int) -> Fault:
        at, path = image[row], rows.path[row].as_py()
        if unusable[at]:
            return Fault(rows.where(row), str(outcome[at]), "a readable image", "restore the file, or remove the row")
        found = f"{path} is {size[at, 1]} x {size[at, 0]}"
        expected = f"{declared[at, 1]} x {declared[at, 0]} pixels as written there"
        return Fault(rows.where(row), found, expected, "restore the image, or write the file again")

    rows = replace(rows, size=size[image])
    return _drop_images(rows, image, (unusable | differs)[image], fault)


def check_leakage(rows: Rows, elsewhere: str, paths: Set[str]) -> tuple[Rows, list[Fault]]:
    """Rows of images that the file of another split doesn't hold."""
    distinct, image = rows.images()
    shared = np.array([path in paths for path in distinct.to_pylist()], dtype=bool)[image]

    def fault(row: int) -> Fault:
        found = f"{rows.path[row].as_py()} is also in {elsewhere}"
        return Fault(rows.where(row), found, "each image in one split only", "remove it from one of them")

    return _drop_images(rows, image, shared, fault)


def _drop_images(
    rows: Rows, image: np.ndarray, bad: np.ndarray, fault: Callable[[int], Fault]
) -> tuple[Rows, list[Fault]]:
    """Without the bad rows, and one fault for each image instead of one for each of its rows."""
    return rows.keep(~bad), [fault(int(row)) for row in np.flatnonzero(bad & _first_of(image))]


def _first_of(image: np.ndarray) -> np.ndarray:
    first = np.zeros(len(image), dtype=bool)
    first[np.unique(image, return_index=True)[1]] = True
    return first


def _sizes(root: str, paths: list[str], decode: bool, max_pixels: int, upright: bool) -> list[tuple[int, int] | str]:
    """For each image its (height, width), or what is wrong with it."""

    def one(path: str) -> tuple[int, int] | str:
        try:
            file = inside(root, path)
            size = image_size(file, max_pixels, upright)
            if decode or not looks_whole(file):
                read_image(file, max_pixels)
        except (PathError, ImageError) as error:
            return str(error)
        return size

    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    # More threads than cores: on a network disk the time goes into waiting.
    with ThreadPoolExecutor(max_workers=min(32, 4 * (os.cpu_count() or 1))) as pool:
        return list(chain.from_iterable(pool.map(lambda chunk: [one(path) for path in chunk], chunks)))


def _climbs(root: str, path: str) -> str:
    try:
        inside(root, path)
    except PathError as error:
        return str(error)
    return ""
