"""Faces with 3D gaze from files of head views, so that what judges rendered heads is trained on the same people's photographs.

The files are those of gaze/head_views/layout.py: pictures in arrays, gaze and poses in frames of the head.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import DatasetError, Fault
from gaze.faces.files import LazyFiles, array_row, numbered, opened, whole_root
from gaze.faces.in_arrays import InArrays
from gaze.faces.index import SPLITS, index_table, joined
from gaze.geometry import pitch_yaw_to_vector
from gaze.head_views.layout import KINDS, keys_of
from gaze.head_views.pictures import read_picture
from gaze.head_views.reading import HeadFile, read_files
from gaze.head_views.splits import chosen, head_files

log = logging.getLogger(__name__)

PREDICTED = ("gaze", "head")


class RenderH5(InArrays):
    """The people of train_test_split.json; those that are to be tested on are never trained on.

    Args:
        root: holds the files, in folders or not; see `gaze.datasets.head_views.HeadViews`.
        name: of the data set.
        kind: xgaze, mpii, columbia or gaze_capture: what the files are called after, if they are.
        predict: what is learned: "gaze", or "head", the direction in which the head faces, in place of it.
        white: make pictures white around the head, as rendered ones are.
        erode: by how many pixels of the file head masks are made smaller first.
        subjects: names or numbers of those who train, for models that must not share people; null: all of the list's train.
        key_map: {name in the layout: name in the files}; see `HeadViews`.
        gaze_limit_rad: pitch and yaw in the head beyond which a label is at fault.
    """

    normalised = True

    def __init__(
        self,
        root: str,
        name: str = "heads",
        kind: str = "xgaze",
        predict: str = "gaze",
        white: bool = True,
        erode: int = 0,
        subjects: Sequence[str | int] | None = None,
        key_map: Mapping[str, str | None] | None = None,
        gaze_limit_rad: float = 1.4,
    ) -> None:
        if predict not in PREDICTED:
            raise ValueError(f"face.predict is {predict!r}; expected one of {', '.join(PREDICTED)}")
        if kind not in KINDS:
            raise ValueError(f"face.kind is {kind!r}; expected one of {', '.join(KINDS)}")
        if erode < 0:
            raise ValueError(f"face.erode is {erode}; expected 0 or more pixels")
        self.root, self.name, self.kind = whole_root(root, "*.h5 of head views and train_test_split.json"), name, kind
        self.predict, self.white, self.erode, self.subjects = predict, white, erode, subjects
        self.gaze_limit_rad = gaze_limit_rad
        self._keys = keys_of(key_map or {}) | {"vertice": None}
        self._files = LazyFiles(opened)

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per view of all splits whose files are there; see `Faces.index`.

        Raises:
            DatasetError: files are missing or not of the layout, or people of a test set are to be trained on.
        """
        listed, tables = head_files(self.root, self.kind), []
        faults: list[Fault] = []
        for split in SPLITS:
            people = listed.people[split]
            if not people or (split != "train" and not any(person in listed.files for person in people)):
                continue  # of a split that was not fetched
            files = listed.of(split)
            if split == "train":
                files = chosen(files, self.subjects, f"the train split of {self.root}")
            for file in read_files(files, self._keys, None, 0, self.gaze_limit_rad):
                tables.append(self._table(split, file))
                faults += file.faults
        if not tables:
            raise DatasetError(
                f"{self.root} has no file of {', '.join(SPLITS)}; expected some; see train_test_split.json"
            )
        return joined(tables), faults

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture of a row of a file; see `Faces.picture`."""
        if self.white:
            below, row = numbered(path)
            file = self._files(os.path.join(self.root, below))
            return read_picture(file, row, self._keys, None, self.erode).image
        bgr = array_row(self._files, self.root, path, str(self._keys["face_patch"]))
        return torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1)

    def _table(self, split: str, file: HeadFile) -> pa.Table:
        labels, below = file.labels, Path(file.path).relative_to(self.root).as_posix()
        used = file.fine & file.headed if self.white else file.fine
        if not used.all():
            log.warning("%s: %d of %d views are left out", file.path, int((~used).sum()), len(used))
        gaze = labels.camera_gaze if self.predict == "gaze" else pitch_yaw_to_vector(labels.camera_head)
        table = index_table(
            len(labels),
            dataset=self.name,
            subject=file.person,
            session=[f"{file.person}/cam{c}" if c >= 0 else "" for c in labels.camera_index.tolist()],
            frame=labels.frame.tolist(),
            split=split,
            path=[f"{below}#{row}" for row in range(len(labels))],
            file=str(file.path),
            row=list(range(len(labels))),
            gaze=gaze.numpy(),
            head=labels.camera_head.numpy(),
        )
        return table.filter(pa.array(used))
