"""Labels of all views of a split's files, checked, with what is known of their masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Bool

from gaze.datasets.faults import DatasetError, Fault
from gaze.faces.files import opened
from gaze.head_views.checks import check_rows
from gaze.head_views.labels import HeadLabels, converted
from gaze.head_views.layout import KEYS
from gaze.head_views.scan import scanned
from gaze.head_views.schema import REMEDY, Sizes, sizes_of

PIXELS = ("face_patch", "head_mask", "left_eye_mask", "right_eye_mask")


@dataclass(frozen=True)
class HeadFile:
    """A person's views, those at fault among them."""

    person: str
    path: Path
    sizes: Sizes
    labels: HeadLabels
    fine: Bool[np.ndarray, "n"]  # labels can be used
    masked: Bool[np.ndarray, "n"]  # the masks of the head and of an eye say something
    headed: Bool[np.ndarray, "n"]  # that of the head does
    faults: tuple[Fault, ...]


def read_files(
    files: Mapping[str, Path],
    keys: Mapping[str, str | None],
    stride: int | None,
    codes: int,
    gaze_limit_rad: float,
    cache_dir: Path | None = None,
) -> list[HeadFile]:
    """The files of people in their order.

    Args:
        keys: what files call each array.
        stride: every so many vertices stand behind the landmarks; None: no vertex.
        codes: how many numbers latent codes must have at least.
        gaze_limit_rad: see `check_rows`.
        cache_dir: see `scanned`.

    Raises:
        DatasetError: a file lacks arrays, or differs from the others in what all must share.
    """
    read: list[HeadFile] = []
    for person, path in files.items():
        read.append(read_file(person, path, keys, stride, codes, gaze_limit_rad, cache_dir))
        first, last = read[0], read[-1]
        for what, one, other in (
            ("pictures of {} px", _side(first.sizes), _side(last.sizes)),
            ("{} landmarks and vertices", first.labels.landmarks.shape[1], last.labels.landmarks.shape[1]),
            ("codes of {} numbers", first.sizes.codes, last.sizes.codes),
        ):
            if one != other:
                raise DatasetError(
                    f"{last.path} has {what.format(other)} and {first.path} {what.format(one)}; expected one size in all "
                    "files; prepare them alike, or move those of another size elsewhere"
                )
    return read


def read_file(
    person: str,
    path: Path,
    keys: Mapping[str, str | None],
    stride: int | None,
    codes: int,
    gaze_limit_rad: float,
    cache_dir: Path | None = None,
) -> HeadFile:
    """A person's file; see `read_files`.

    Raises:
        DatasetError: arrays are missing or of wrong shapes, or all masks are empty.
        ImageError: it can't be opened.
    """
    with opened(str(path)) as file:
        sizes = sizes_of(file, str(path), keys)
        if sizes.codes < codes:
            raise DatasetError(
                f"{path}: {keys['latent_codes']} has {sizes.codes} numbers; expected {codes} at least for the parts identity "
                "and expression; set dataset.identity and dataset.expression to this file's"
            )
        if sizes.height != sizes.width:
            raise DatasetError(f"{path} has pictures of {sizes.height} x {sizes.width} px; expected squares; {REMEDY}")
        arrays = _arrays(file, path, keys, sizes.views)
    scan = scanned(path, keys, stride, cache_dir)
    if scan.empty.all():
        raise DatasetError(
            f"{path}: {keys['head_mask']} is empty in all {sizes.views} views; expected 255 where the head is; make the masks "
            "again, or take the person off the list"
        )
    wrong = check_rows(str(path), arrays, keys, gaze_limit_rad)
    fine = np.ones(sizes.views, bool)
    fine[[row for row, _ in wrong]] = False
    lost = ~np.isfinite(scan.vertices).all((1, 2)) & fine
    vertices = [
        Fault(
            f"{path}#{row}",
            f"{keys['vertice']} is not a number or infinite",
            "finite numbers",
            "correct or remove the row",
        )
        for row in np.flatnonzero(lost).tolist()
    ]
    return HeadFile(
        person=person,
        path=path,
        sizes=sizes,
        labels=converted(arrays, scan.vertices),
        fine=fine & ~lost,
        masked=scan.head & scan.eyes,
        headed=scan.head,
        faults=(*(fault for _, fault in wrong), *vertices),
    )


def _arrays(file: h5py.File, path: Path, keys: Mapping[str, str | None], views: int) -> dict[str, np.ndarray]:
    """The arrays that fit in memory, as float64 in the shapes of the layout."""
    found = {}
    for name, key in keys.items():
        if key is None or name in PIXELS or name == "vertice":
            continue
        try:
            values = np.asarray(file[key][()], dtype=np.float64)
        except (OSError, RuntimeError) as error:
            raise DatasetError(f"{path}: {key} can't be read ({str(error)[:120]}); fetch the file again") from error
        # Axes of one go: [N, 1] is as good as [N]
        tail = [given if own is None else own for own, given in zip_longest(KEYS[name].tail, values.shape[1:])]
        found[name] = values.reshape(views, *tail[: len(KEYS[name].tail)])
    return found


def _side(sizes: Sizes) -> str:
    return f"{sizes.height} x {sizes.width}"
