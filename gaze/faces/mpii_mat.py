"""MPIIFaceGaze as normalised by its authors: p00.mat to p14.mat, which are HDF5 (MATLAB 7.3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.datasets.image import ImageError
from gaze.faces.checks import check_angles
from gaze.faces.conversions import ANGLES, chosen, of_angles, to_pitch_yaw
from gaze.faces.files import LazyFiles, array_row, opened, whole_root
from gaze.faces.in_arrays import InArrays
from gaze.faces.index import index_table, joined

LABELS = 16  # gaze 2, head pose 2, six landmarks
SOURCE = "MPIIFaceGaze's normalised download"


class MPIIMat(InArrays):
    """Its people. The sign of these labels is not published: tools/audit_labels.py looks at it.

    Args:
        root: holds p00.mat and so on.
        name: of the data set.
        angles: the order of the labels: "pitch_yaw" or "yaw_pitch".
        bgr: are the pictures' channels in the order of OpenCV? Users of the files take them so.
    """

    normalised = True

    def __init__(self, root: str, name: str = "mpiifacegaze", angles: str = "pitch_yaw", bgr: bool = True) -> None:
        self.root, self.name, self.bgr = whole_root(root, f"p00.mat to p14.mat, from {SOURCE}"), name, bgr
        self.angles = chosen("angles", angles, ANGLES)
        self._files = LazyFiles(opened)

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per picture of all files; see `Faces.index`.

        Raises:
            DatasetError: there is no file.
        """
        files = sorted(Path(self.root).glob("*.mat"))
        tables, faults = [], []
        for path in files:
            try:
                table, wrong = self._table(path)
                tables.append(table)
                faults += wrong
            except (ImageError, KeyError, ValueError) as error:
                expected = f"Data/data [n, 3, h, w] and Data/label [n, {LABELS}]"
                faults.append(Fault(str(path), str(error).strip("\"'"), expected, "fetch it again"))
        if not tables:
            told = "; ".join(map(str, faults[:3])) or "no file *.mat"
            raise DatasetError(f"{self.root} has nothing that can be read: {told}; expected files from {SOURCE}")
        return joined(tables), faults

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture of a row of a file; see `Faces.picture`."""
        pixels = array_row(self._files, self.root, path, "Data/data")
        pixels = pixels.round().clip(0, 255).astype(np.uint8)  # stored as floats
        return torch.from_numpy(np.ascontiguousarray(pixels[::-1] if self.bgr else pixels))

    def _table(self, path: Path) -> tuple[pa.Table, list[Fault]]:
        with opened(str(path)) as file:
            labels, shape = np.asarray(file["Data/label"], dtype=np.float64), file["Data/data"].shape
        if labels.ndim != 2 or labels.shape[1] != LABELS or len(labels) != shape[0]:
            raise ValueError(f"labels {list(labels.shape)} beside pictures {list(shape)}")
        count = len(labels)
        table = index_table(
            count,
            dataset=self.name,
            subject=path.stem,
            path=[f"{path.name}#{row}" for row in range(count)],
            file=str(path),
            row=list(range(count)),
            gaze=of_angles(labels[:, :2], self.angles),
            head=to_pitch_yaw(labels[:, 2:4], self.angles),
        )
        return check_angles(table, to_pitch_yaw(labels[:, :2], self.angles))
