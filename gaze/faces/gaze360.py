"""Gaze360 as its authors give it: metadata.mat with everything in arrays, and crops of heads below imgs.

Boxes are (x, y, width, height) as fractions of the whole frame, and -1 where nothing was found. A face is cut out of its
head crop as the GazeHub scripts do: a square on the longer side of the face's box, that begins within the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.crops import crop_box
from gaze.datasets.faults import DatasetError, Fault
from gaze.faces.conversions import of_vectors
from gaze.faces.files import file_picture, files_missing, opened, whole_root
from gaze.faces.index import SPLITS, UNUSED, index_table
from gaze.mat_claims import read_matlab

ARRAYS = ("recording", "frame", "person_identity", "person_head_bbox", "person_face_bbox", "gaze_dir", "split")
NAMES = (*SPLITS, UNUSED)
SOURCE = "Gaze360's download (gaze360.csail.mit.edu)"
SIDE = 224  # px, of GazeHub's crops


class Gaze360:
    """The people in its metadata.

    Args:
        root: holds metadata.mat and the folder imgs.
        name: of the data set.
        detected_only: leave out people without a box of the face, as GazeHub does; else their whole head is the picture.
    """

    normalised = False

    def __init__(self, root: str, name: str = "gaze360", detected_only: bool = True) -> None:
        self.root, self.name = whole_root(root, f"metadata.mat and imgs, from {SOURCE}"), name
        self.detected_only = detected_only
        self._boxes: dict[str, tuple[float, ...]] | None = None  # of faces in the crops of heads, by path

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per person and frame; see `Faces.index`.

        Raises:
            DatasetError: the metadata is missing or damaged.
        """
        path = Path(self.root) / "metadata.mat"
        arrays, names = _arrays(path)
        count = len(arrays["frame"])
        short = [name for name, values in arrays.items() if len(values) != count]
        split = arrays["split"].astype(np.int64)
        recording = arrays["recording"].astype(np.int64)
        if short or not np.isin(split, range(4)).all() or recording.max(initial=0) >= len(names):
            raise DatasetError(
                f"{path}: {', '.join(short) or 'split or recording'} does not fit {count} rows, splits 0 to 3 and {len(names)} "
                "recordings; fetch it again"
            )
        head, face = arrays["person_head_bbox"], arrays["person_face_bbox"]
        detected = np.asarray((face >= 0).all(1) & (face[:, 2:] > 0).all(1))
        person, frame = arrays["person_identity"].astype(np.int64), arrays["frame"].astype(np.int64)
        paths = [
            f"imgs/{names[r]}/head/{p:06d}/{f:06d}.jpg"
            for r, p, f in zip(recording.tolist(), person.tolist(), frame.tolist(), strict=True)
        ]
        self._boxes = {
            name: tuple(box)
            for name, box, there in zip(paths, _within(head, face).tolist(), detected.tolist(), strict=True)
            if there
        }
        table = index_table(
            count,
            dataset=self.name,
            subject=[f"{names[r]}/{p:06d}" for r, p in zip(recording.tolist(), person.tolist(), strict=True)],
            session=[names[r] for r in recording.tolist()],
            frame=frame.tolist(),
            split=[NAMES[s] for s in split.tolist()],
            path=paths,
            file=str(path),
            row=list(range(count)),
            gaze=of_vectors(arrays["gaze_dir"], "gaze360"),
            detected=detected.tolist(),
        )
        return table.filter(pa.array(detected)) if self.detected_only else table, []

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The face in the crop of a head, or that crop where no face was found; see `Faces.picture`."""
        image = file_picture(self.root, path)
        if self._boxes is None:
            self.index()
        box = (self._boxes or {}).get(path)
        if box is None:
            return image
        height, width = image.shape[-2:]
        x, y, w, h = (v * s for v, s in zip(box, (width, height, width, height), strict=True))
        side = max(w, h)
        left, top = max(x + (w - side) / 2, 0.0), max(y + (h - side) / 2, 0.0)
        return crop_box(image, (left, top, min(side, width - left), min(side, height - top)), (SIDE, SIDE))

    def stored(self, path: str) -> bytes | None:
        """None: files show heads, and samples faces."""
        return None

    def missing(self, paths: Sequence[str]) -> dict[str, str]:
        """Files that are missing or empty; see `Faces.missing`."""
        return files_missing(self.root, paths)

    def clusters(self) -> list[list[str]]:
        """None are published."""
        return []


def _within(head: Float[np.ndarray, "n 4"], box: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
    """Boxes of the frame as fractions of the crop of the head."""
    size = np.where(head[:, 2:] > 0, head[:, 2:], 1.0)
    return np.concatenate([(box[:, :2] - head[:, :2]) / size, box[:, 2:] / size], axis=1)


def _arrays(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of the metadata, one row per person and frame, and the recordings' names."""
    holds = f"MATLAB arrays recordings, {', '.join(ARRAYS)}, from {SOURCE}"
    try:
        found, names = _hdf5(path) if path.is_file() and h5py.is_hdf5(path) else _matlab(path)
    except DatasetError:
        raise
    # A damaged file makes scipy and h5py raise whatever comes: struct, zlib, index, memory and their own errors.
    except Exception as error:
        raise DatasetError(f"{path} can't be read ({error}); expected {holds}; fetch it again") from error
    missing = [name for name in ARRAYS if name not in found]
    if missing:
        raise DatasetError(f"{path} lacks {', '.join(missing)}; expected {holds}; fetch it again")
    shaped = {name: np.asarray(found[name], dtype=np.float64) for name in ARRAYS}
    wide = {"person_head_bbox": 4, "person_face_bbox": 4, "gaze_dir": 3}
    return {name: v.reshape(-1, wide[name]) if name in wide else v.reshape(-1) for name, v in shaped.items()}, names


def _matlab(path: Path) -> tuple[dict[str, Any], list[str]]:
    arrays = read_matlab(path)
    return arrays, [str(np.asarray(cell).reshape(-1)[0]) for cell in np.asarray(arrays["recordings"]).reshape(-1)]


def _hdf5(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Of version 7.3, whose arrays are transposed and whose words are references to arrays of letters."""
    with opened(str(path)) as file:
        arrays = {name: np.asarray(file[name]).T for name in ARRAYS if name in file}
        cells = np.asarray(file["recordings"]).reshape(-1)
        return arrays, ["".join(map(chr, np.asarray(file[cell]).reshape(-1).tolist())) for cell in cells]
