"""Faces as the GazeHub scripts store them: Label/*.label and Image/, of four data sets and of our synthetic one.

Traps of the scripts. 2DGaze is (yaw, pitch), but in ETH-XGaze's files (pitch, yaw). Gaze360's vectors have x to the left
and y up. MPIIFaceGaze's samples of right eyes are mirrored, and their head poses are mirrored wrongly: they are dropped.
Its gaze is scaled with the virtual camera, EyeDiap's is not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.faults import Fault
from gaze.datasets.paths import plain
from gaze.faces.attributes import attributes
from gaze.faces.checks import RADIANS, UNDEGREED, angles_beyond
from gaze.faces.conversions import ANGLES, SCALINGS, VECTORS, chosen, of_angles, of_vectors, to_pitch_yaw, unscaled
from gaze.faces.files import file_bytes, file_picture, files_missing, whole_root
from gaze.faces.index import SPLITS, UNLABELLED, UNUSED, index_table, joined
from gaze.faces.label_file import LabelFile, label_files, lost_gaze, read_labels
from gaze.geometry import rotation_matrix


class GazeHub:
    """One data set below a folder.

    Args:
        root: holds the folders of labels and images.
        name: of the data set, as rows and figures call it.
        vector: the frame of 3DGaze: "camera" or "gaze360".
        angles: the order of 2DGaze and 2DHead: "yaw_pitch" or "pitch_yaw".
        subject: where a sample's person is named: a pattern with a group `subject`, searched in
            "<label file's stem> <face's path> <origin>".
        origin: pattern of a sample's recording and frame, with groups `session` and `frame`, searched in the same.
        labels, images: folders below the root; {split} in the latter stands for the label file's split.
        clusters: folder with a label file per published fold; null, or without such a folder: there are none.
        gaze_scaling: "as_stored", or "undo" for vectors without the scale of the virtual camera.
        normalised: were the pictures warped to a virtual camera?
    """

    def __init__(
        self,
        root: str,
        name: str,
        vector: str = "camera",
        angles: str = "yaw_pitch",
        subject: str = r"^(?P<subject>\S+)",
        origin: str | None = None,
        labels: str = "Label",
        images: str = "Image",
        clusters: str | None = None,
        gaze_scaling: str = "as_stored",
        normalised: bool = True,
    ) -> None:
        self.root, self.name, self.normalised = whole_root(root, "Label and Image"), name, normalised
        self.vector, self.angles = chosen("vector", vector, VECTORS), chosen("angles", angles, ANGLES)
        self.gaze_scaling = chosen("gaze_scaling", gaze_scaling, SCALINGS)
        self._subject, self._origin = re.compile(subject), re.compile(origin or r"(?P<session>)(?P<frame>\d+)?$")
        self._labels, self._images, self._clusters = labels, images, clusters

    def index(self) -> tuple[pa.Table, list[Fault]]:
        """One row per well-formed line of all label files; see `Faces.index`.

        Raises:
            DatasetError: there are no label files, or one can't be read.
        """
        read = [read_labels(path) for path in label_files(Path(self.root) / self._labels)]
        tables, faults = [], [fault for _, wrong in read for fault in wrong]
        lost = lost_gaze([file for file, _ in read])  # whose people would silently be gone
        faults += [fault for wrong in lost.values() for fault in wrong]
        for file in (file for file, _ in read if file.path not in lost):
            table, more = self._table(file)
            tables.append(table)
            faults += more
        return attributes(joined(tables), Path(self.root), faults)

    def picture(self, path: str) -> UInt8[Tensor, "3 H W"]:
        """The picture of a file below the root; see `Faces.picture`."""
        return file_picture(self.root, path)

    def stored(self, path: str) -> bytes | None:
        """What the file holds; see `Faces.stored`."""
        return file_bytes(self.root, path)

    def missing(self, paths: Sequence[str]) -> dict[str, str]:
        """Files that are missing or empty; see `Faces.missing`."""
        return files_missing(self.root, paths)

    def clusters(self) -> list[list[str]]:
        """The subjects of each published fold; see `Faces.clusters`."""
        folder = Path(self.root) / (self._clusters or "")
        if self._clusters is None or not folder.is_dir():
            return []
        found = []
        for path in label_files(folder):
            file, _ = read_labels(path)
            found.append(sorted({self._person(at, file)[0] for at in range(len(file.lines))}))
        return found

    def _table(self, file: LabelFile) -> tuple[pa.Table, list[Fault]]:
        split, count, columns = _split(file.path), len(file.lines), file.columns
        parsed = {
            meaning: file.numbers(meaning, size)
            for meaning, size in (
                ("vector", 3),
                ("angles", 2),
                ("head", 2),
                ("rotation", 3),
                ("scale", 3),
                ("matrix", 9),
            )
        }
        values = {meaning: value for meaning, (value, _) in parsed.items()}
        angles, head = (to_pitch_yaw(values[name], self.angles) for name in ("angles", "head"))
        told = "vector" in columns
        beyond = {} if told else angles_beyond(angles)
        gaze = of_vectors(values["vector"], self.vector) if told else of_angles(values["angles"], self.angles)
        if self.gaze_scaling == "undo":
            gaze = unscaled(gaze, values["scale"])
            angles[:] = np.nan  # they are those of the scaled vector
        mirrored = np.array([eye.lower() == "right" for eye in columns.get("eye", [""] * count)], dtype=bool)
        head[mirrored] = np.nan  # the script negates one entry of a matrix, and the pose is another one then
        turns = values["matrix"] if "matrix" in columns else _turns(values["rotation"])
        facts = [self._facts(at, file) for at in range(count)]
        folder = self._images.format(split=split or "train")
        table = index_table(
            count,
            dataset=self.name,
            subject=[subject for subject, _, _ in facts],
            session=[session for _, session, _ in facts],
            frame=[frame for _, _, frame in facts],
            split=split if file.has_gaze else UNLABELLED,
            path=[f"{folder}/{plain(face.replace(chr(92), '/'))}" for face in columns["face"]],
            file=str(file.path),
            row=file.lines,
            gaze=gaze,
            head=head,
            angles=angles if told else np.full((count, 2), np.nan),
            normalisation=turns,
            mirrored=mirrored,
        )
        wrong = {at: what for _, found in parsed.values() for at, what in found.items()}
        wrong |= {at: f"{what}; expected {RADIANS}; {UNDEGREED}" for at, what in beyond.items()}
        wrong |= {at: f"no subject in {self._told(at, file)!r}" for at, fact in enumerate(facts) if not fact[0]}
        faults = [
            Fault(f"{file.path}:{file.lines[at]}", what, "", "correct the line") for at, what in sorted(wrong.items())
        ]
        return table.filter(pa.array([at not in wrong for at in range(count)], pa.bool_())), faults

    def _facts(self, at: int, file: LabelFile) -> tuple[str, str, int]:
        """Subject, session and frame of a line; -1 where no number is told."""
        subject, told = self._person(at, file)
        found = self._origin.search(told)
        parts = found.groupdict() if found else {}
        frame = file.columns["frame"][at] if "frame" in file.columns else parts.get("frame")
        session = parts.get("session") or ""
        if "camera" in file.columns:
            session = f"{session or subject}/cam{file.columns['camera'][at]}"
        return subject, session, int(frame) if frame and frame.isdigit() else -1

    def _person(self, at: int, file: LabelFile) -> tuple[str, str]:
        told = self._told(at, file)
        found = self._subject.search(told)
        parts = found.groupdict() if found else {}
        # A recording and a number within it, where people are counted anew in each
        return "/".join(parts[name] for name in ("recording", "subject") if parts.get(name)), told

    def _told(self, at: int, file: LabelFile) -> str:
        origin = file.columns["origin"][at] if "origin" in file.columns else ""
        return f"{file.path.stem} {file.columns['face'][at]} {origin}".replace("\\", "/")


def _split(path: Path) -> str:
    return next((name for name in (path.stem, path.parent.name) if name in (*SPLITS, UNUSED)), "")


def _turns(vector: np.ndarray) -> np.ndarray:
    known = np.isfinite(vector).all(1)
    turns = np.full((len(vector), 9), np.nan)
    if known.any():
        turns[known] = rotation_matrix(torch.from_numpy(vector[known])).reshape(-1, 9).numpy()
    return turns
