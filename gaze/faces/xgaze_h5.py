"""ETH-XGaze as its authors give it: an HDF5 file per person, pictures BGR, labels pitch and yaw in radians."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import ImageError
from gaze.datasets.paths import PathError, inside
from gaze.faces.checks import check_angles
from gaze.faces.conversions import of_angles
from gaze.faces.files import LazyFiles, array_row, opened, whole_root
from gaze.faces.in_arrays import InArrays
from gaze.faces.index import UNLABELLED, index_table, joined

SPLIT_FILE = "train_test_split.json"
PARTS = ("train", "test", "test_person_specific")
SOURCE = "ETH-XGaze's download (xgaze_224 or xgaze_448)"


class XGazeH5(InArrays):
    """The people of one or more parts, in the order of train_test_split.json.

    Of the test parts only the samples for calibration have labels; the others are for a server that scores predictions, in
    this very order.

    Args:
        root: holds the folders of the parts and train_test_split.json.
        name: of the data set.
        parts: "train", "test", "test_person_specific".
    """

    normalised = True

    def __init__(self, root: str, name: str = "xgaze", parts: Sequence[str] = ("train",)) -> None:
        self.root, self.name = whole_root(root, f"train, test and {SPLIT_FILE}, from {SOURCE}"), name
        unknown = [part for part in parts if part not in PARTS]
        if unknown or not parts:
            raise ValueError(f"parts is {list(parts)}; expected some of {', '.join(PARTS)}")
        self.parts = tuple(parts)
        self._files = LazyFiles(opened)

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per picture of all files; see `Faces.index`.

        Raises:
            DatasetError: the list of files is missing, or not one of them can be read.
        """
        tables, faults = [], []
        for part, names in self._names().items():
            for name in names:
                try:
                    with opened(inside(os.path.join(self.root, part), name)) as file:
                        table, wrong = self._table(part, name, file)
                    tables.append(table)
                    faults += wrong
                except (ImageError, PathError, KeyError, ValueError, OSError, RuntimeError) as error:
                    what = str(error).strip("\"'")
                    faults.append(Fault(f"{self.root}/{part}/{name}", what, "arrays of one length", "fetch it again"))
        if not tables:
            told = "; ".join(map(str, faults[:3]))
            raise DatasetError(f"{self.root} has no file of {', '.join(self.parts)} that can be read: {told}")
        return joined(tables), faults

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture of a row of a file; see `Faces.picture`."""
        bgr = array_row(self._files, self.root, path, "face_patch")
        return torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1)

    def _names(self) -> dict[str, list[str]]:
        path = Path(self.root) / SPLIT_FILE
        try:
            told = json.loads(path.read_text())
            return {part: list(told[part]) for part in self.parts}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{path} can't be used ({error}); expected lists of file names {', '.join(self.parts)}, from {SOURCE}; restore it"
            ) from error

    def _table(self, part: str, name: str, file: h5py.File) -> tuple[pa.Table, list[Fault]]:
        count, subject = len(file["face_patch"]), Path(name).stem
        angles = _padded(file, "face_gaze", count, 2)
        gaze = of_angles(angles, "pitch_yaw")
        labelled = "face_gaze" in file
        unknown = np.arange(count) >= (len(file["face_gaze"]) if labelled else 0)
        camera = _padded(file, "cam_index", count, 1)[:, 0]
        frame = _padded(file, "frame_index", count, 1)[:, 0]
        table = index_table(
            count,
            dataset=self.name,
            subject=subject,
            session=[f"{subject}/cam{int(c)}" if np.isfinite(c) else "" for c in camera],
            frame=[int(f) if np.isfinite(f) else -1 for f in frame],
            split=[UNLABELLED if u else "" for u in unknown.tolist()],
            path=[f"{part}/{name}#{row}" for row in range(count)],
            file=f"{self.root}/{part}/{name}",
            row=list(range(count)),
            gaze=gaze,
            head=_padded(file, "face_head_pose", count, 2),
            normalisation=_padded(file, "face_mat_norm", count, 9),
        )
        return check_angles(table, angles)


def _padded(file: h5py.File, name: str, count: int, width: int) -> np.ndarray:
    """An array with a row per picture; NaN where a part has no labels.

    Raises:
        ValueError: it is of another shape.
    """
    values = np.full((count, width), np.nan)
    if name in file:
        found = np.asarray(file[name], dtype=np.float64).reshape(len(file[name]), -1)
        if found.shape[1] != width or len(found) > count or (len(found) < count and name != "face_gaze"):
            raise ValueError(f"{name} is {list(file[name].shape)} beside {count} pictures; expected [{count}, {width}]")
        values[: len(found)] = found
    return values
