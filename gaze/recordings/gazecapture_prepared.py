"""GazeCapture as its authors' PyTorch script prepares it: crops that are cut already, and one metadata.mat.

The script keeps neither frames nor their sizes, eye boxes, devices, dots nor the interface's orientation. What remains
of the geometry is the face grid, so boxes here are in its cells (`frame_size` 25 x 25) and the eyes' are unknown.
Boxes beyond the frame were filled with black. Prefer the raw recordings where they are at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gaze.recordings.face_grid import CELLS, grid_from_one
from gaze.recordings.files import RecordingError, existing_folder, read_mat, read_subjects
from gaze.recordings.sample import ScreenSample

SOURCE = "GazeCapture's pytorch/prepareDataset.py"
VECTORS = ("labelRecNum", "frameIndex", "labelDotXCam", "labelDotYCam", "labelTrain", "labelVal", "labelTest")
SPLITS = {"labelTrain": "train", "labelVal": "val", "labelTest": "test"}
CROPS = {"face": "appleFace", "left_eye": "appleLeftEye", "right_eye": "appleRightEye"}


class GazeCapturePrepared:
    """Prepared recordings, each one subject unless `subjects` knows better.

    The script puts frames that its reference list lacks into val, whoever is in them. Such frames of a recording
    that mostly is in another split are refused, so that no subject is in two.

    Args:
        root: holds metadata.mat, and a folder of crops per recording.
        subjects: a JSON file {recording: subject} where one person made several; None: nobody did.
    """

    dataset = "gazecapture_prepared"
    boxes = "apple"
    finished_crops = True

    def __init__(self, root: str | Path, subjects: str | Path | None = None) -> None:
        self.root = existing_folder(Path(root), "metadata.mat and a folder of crops per recording", SOURCE)
        self.subjects = read_subjects(subjects)

    def recordings(self) -> list[str]:
        """Those that the metadata list."""
        return [f"{number:05d}" for number in np.unique(self._metadata["labelRecNum"]).tolist()]

    def read(self, recording: str) -> Iterator[ScreenSample]:
        """The frames of a recording.

        Raises:
            RecordingError: metadata.mat is missing or damaged, or doesn't list the recording.
        """
        table = self._metadata
        rows = np.flatnonzero(table["labelRecNum"] == int(recording))
        if not len(rows):
            raise RecordingError(f"{self.root}/metadata.mat lists no frame of {recording}; see recordings()")
        splits = [_split(table, row) for row in rows.tolist()]
        own = max(sorted(set(splits)), key=splits.count)
        for row, split in zip(rows.tolist(), splits, strict=True):
            frame = int(table["frameIndex"][row])
            crops: dict[str, Any] = {
                name: self.root / recording / folder / f"{frame:05d}.jpg" for name, folder in CROPS.items()
            }
            point = float(table["labelDotXCam"][row]), float(table["labelDotYCam"][row])
            reason = _reason(point, crops.values(), split == own)
            x, y, w, h = grid_from_one(*table["labelFaceGrid"][row].tolist())
            yield ScreenSample(
                self.dataset,
                self.subjects.get(recording, recording),
                recording,
                frame,
                split=split if split == own else "unused",
                valid=reason is None,
                reject_reason=reason,
                frame_size=(CELLS, CELLS),
                face_box=(x, y, w, h) if min(w, h) > 0 else None,
                orientation=likely_orientation(*point),
                gaze_cam_cm=point if np.isfinite(point).all() else None,
                attrs={"orientation": "guessed from the label", "boxes": "cells of the face grid"},
                **crops,
            )

    @cached_property
    def _metadata(self) -> dict[str, np.ndarray]:
        path = self.root / "metadata.mat"
        arrays = read_mat(path, (*VECTORS, "labelFaceGrid"), SOURCE)
        table: dict[str, np.ndarray] = {name: arrays[name].reshape(-1) for name in VECTORS}
        table["labelFaceGrid"] = arrays["labelFaceGrid"]
        count = len(table["labelRecNum"])
        for name, column in table.items():
            shape = (count, 4) if name == "labelFaceGrid" else (count,)
            if column.shape != shape or not (np.issubdtype(column.dtype, np.number) or column.dtype == bool):
                raise RecordingError(
                    f"{path}: {name} is {column.dtype} {column.shape}; expected numbers {shape}; restore it"
                )
        # Saved as int16, uint8 and so on, in which sums and differences would wrap around
        for name in ("labelRecNum", "frameIndex", "labelFaceGrid"):
            table[name] = table[name].astype(np.int64)
        if count and table["labelRecNum"].min() < 0:
            raise RecordingError(
                f"{path}: labelRecNum has {table['labelRecNum'].min()}; expected numbers of recordings"
            )
        return table


def likely_orientation(x_cm: float, y_cm: float) -> int:
    """The orientation in which a screen lies on the label's side of its camera: below, above, right or left of it.

    A guess: points near the camera at a screen's edge may be beside it rather than below.
    """
    if abs(y_cm) >= abs(x_cm):
        return 1 if y_cm <= 0 else 2
    return 3 if x_cm > 0 else 4


def _split(table: dict[str, np.ndarray], row: int) -> str:
    marked = [split for name, split in SPLITS.items() if table[name][row]]
    return marked[0] if len(marked) == 1 else "unused"


def _reason(point: tuple[float, float], crops: Iterable[Path], in_own_split: bool) -> str | None:
    if not np.isfinite(point).all():
        return "label is not finite"
    if not in_own_split:
        return "frame is in another split than its recording"
    if not all(crop.is_file() for crop in crops):
        return "a crop is missing"
    return None
