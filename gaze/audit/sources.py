"""Where labels and faces to be audited come from: a data set that the project reads, or a folder of raw label files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.audit.evidence import KINDS, Evidence, Kind, evidence_of
from gaze.datasets.dataset import Dataset
from gaze.datasets.direction_labels import DirectionLabels
from gaze.datasets.faults import Fault
from gaze.datasets.image import read_image, resize
from gaze.errors import UserError
from gaze.faces.conversions import ANGLES, VECTORS, chosen
from gaze.faces.label_file import LabelFile, label_files, lost_gaze, read_labels

IMAGES = (
    "Image",
    "Image/train",
    "Image/val",
    "Image/test",
    "Image/unused",
    ".",
)  # below the folder, paths are relative to
COLUMNS = {  # that tell whose label files these are
    "mpiifacegaze": {"eye", "scale"},
    "eyediap": {"vector", "head", "scale"},
    "xgaze": {"matrix"},
    "gaze360": {"vector", "angles", "origin"},
}


class NoPictureError(UserError):
    """A picture of a folder of labels is not there."""


@runtime_checkable
class Source(Protocol):
    """Samples with labels and faces."""

    evidence: Evidence
    faults: Sequence[Fault]  # of rows that can not be read

    def name(self, row: int) -> str:
        """What a person would call the sample."""
        ...

    def face(self, row: int) -> UInt8[Tensor, "*t 3 H W"]:
        """As models are given it."""
        ...


class SetSource:
    """One of the data sets that a split is made of."""

    def __init__(self, dataset: Dataset, evidence: Evidence, rows: Sequence[int]) -> None:
        self.dataset, self.evidence, self.rows = dataset, evidence, rows
        self.faults: Sequence[Fault] = getattr(dataset, "faults", ())

    def name(self, row: int) -> str:
        """That of the data set."""
        return self.dataset.name(self.rows[row])

    def face(self, row: int) -> UInt8[Tensor, "*t 3 H W"]:
        """As it is evaluated."""
        face: Tensor = self.dataset[self.rows[row]].inputs.face  # type: ignore[attr-defined]
        return face


class FolderSource:
    """Label files below a folder, in one layout, and the pictures beside them."""

    def __init__(
        self, folder: Path, evidence: Evidence, faces: Sequence[str], size_px: int | None, faults: Sequence[Fault] = ()
    ) -> None:
        self.folder, self.evidence, self.faces, self.size_px, self.faults = folder, evidence, faces, size_px, faults

    def name(self, row: int) -> str:
        """Its path."""
        return self.faces[row]

    def face(self, row: int) -> UInt8[Tensor, "3 H W"]:
        """The picture, of `size_px` if that is given."""
        places = [self.folder / below / self.faces[row] for below in IMAGES]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise NoPictureError(
                f"{places[0]} is missing, and no other folder of images has it; unpack the images there"
            )
        picture = read_image(found, upright=False)
        return picture if self.size_px is None else resize(picture, (self.size_px, self.size_px))


def open_set(dataset: Dataset) -> list[Source]:
    """The parts of a split, one per data set.

    Raises:
        UserError: its samples are not faces with directions.
    """
    labels = getattr(dataset, "labels", None)
    if not isinstance(labels, DirectionLabels):
        raise UserError("the data set has no directions of gaze; choose one of faces, such as dataset=faces")
    parts = {name: (labels.dataset == i).nonzero()[:, 0].tolist() for i, name in enumerate(labels.datasets)}
    return [SetSource(dataset, evidence, parts[evidence.name]) for evidence in evidence_of(labels)]


def open_folder(
    folder: str | Path,
    kind: str | None = None,
    vector: str | None = None,
    angles: str | None = None,
    size_px: int | None = None,
) -> list[Source]:
    """The label files below a folder; see `FolderSource`.

    Args:
        kind: of `gaze.audit.evidence.KINDS`; None: what the columns look like.
        vector, angles: frames of stored vectors and angles, by the names of `gaze.faces.conversions`; None: the kind's.
        size_px: of the faces' sides, if not their own.

    Raises:
        UserError: the columns are nobody's, or hold no gaze.
        DatasetError: there are no label files, or one can't be read.
    """
    root = Path(folder)
    read = [read_labels(path) for path in label_files(root / "Label" if (root / "Label").is_dir() else root)]
    faults = [fault for _, wrong in read for fault in wrong]
    faults += [fault for wrong in lost_gaze([file for file, _ in read]).values() for fault in wrong]
    files = [file for file, _ in read if file.has_gaze]
    if not files:
        raise UserError(f"no label file below {root} has a column of gaze; expected 3DGaze, 2DGaze or gaze")
    name = chosen("kind", kind, KINDS) if kind else _kind(files[0])
    known = KINDS.get(name, Kind())
    if vector is not None:
        known = known._replace(vector=VECTORS[chosen("vector", vector, VECTORS)])
    if angles is not None:
        known = known._replace(angles=ANGLES[chosen("angles", angles, ANGLES)])
    (vectors, _), (pairs, _), (heads, _) = numbers = [
        _numbers(files, meaning, size) for meaning, size in (("vector", 3), ("angles", 2), ("head", 2))
    ]
    faults += [fault for _, wrong in numbers for fault in wrong]
    for file, eyes in zip(_slices(files), (file.columns.get("eye", ()) for file in files), strict=True):
        mirrored = torch.tensor([eye.lower() == "right" for eye in eyes], dtype=torch.bool)
        heads[file][: len(mirrored)][mirrored] = torch.nan  # GazeHub's script mirrors their heads wrongly
    told = vectors.isfinite().any()
    gaze = known.vector.gaze(vectors) if told else known.angles.gaze(pairs)
    both = pairs if pairs.isfinite().any() else None
    evidence = Evidence(name, known, gaze, known.angles.pitch_yaw(heads), vectors if told else None, both)
    faces = [face.replace("\\", "/") for file in files for face in file.columns["face"]]
    return [FolderSource(root, evidence, faces, size_px, faults)]


def _kind(file: LabelFile) -> str:
    return next((name for name, columns in COLUMNS.items() if columns <= set(file.columns)), "unknown")


def _numbers(files: Sequence[LabelFile], meaning: str, size: int) -> tuple[Tensor, list[Fault]]:
    read = [file.numbers(meaning, size) for file in files]
    faults = [
        Fault(f"{file.path}:{file.lines[at]}", what, "", "correct the line")
        for file, (_, wrong) in zip(files, read, strict=True)
        for at, what in wrong.items()
    ]
    return torch.from_numpy(np.concatenate([values for values, _ in read])), faults


def _slices(files: Sequence[LabelFile]) -> Iterator[slice]:
    start = 0
    for file in files:
        yield slice(start, start + len(file.lines))
        start += len(file.lines)
