"""What labels say of the samples of one data set, and what is known of data sets of that kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.datasets.direction_labels import DirectionLabels
from gaze.gaze_frames import CAMERA, GAZE360, PITCH_YAW, YAW_PITCH, AngleFrame, VectorFrame


class Kind(NamedTuple):
    """How a data set stores directions, and where its people look."""

    vector: VectorFrame = CAMERA
    angles: AngleFrame = YAW_PITCH
    frontal: bool = False  # nearly everybody looks to the camera's side
    below: bool = False  # most look below the camera, as users of laptops do


KINDS = {
    "mpiifacegaze": Kind(frontal=True, below=True),
    "eyediap": Kind(frontal=True),
    "gaze360": Kind(vector=GAZE360),
    "xgaze": Kind(angles=PITCH_YAW),
}


@dataclass(frozen=True)
class Evidence:
    """The labels of n samples, read as the kind has them. Rows without labels are left out."""

    name: str
    kind: Kind
    gaze: Float[Tensor, "n 3"]  # of the length that is stored
    head: Float[Tensor, "n 2"]  # pitch, yaw, radians; NaN unknown
    vectors: Float[Tensor, "n 3"] | None = None  # as stored, if they are
    angles: Float[Tensor, "n 2"] | None = None

    def __len__(self) -> int:
        return len(self.gaze)


def evidence_of(labels: DirectionLabels) -> list[Evidence]:
    """What the labels of each of the data sets that a split is made of say."""
    found = []
    for number, name in enumerate(labels.datasets):
        rows = (labels.dataset == number).nonzero()[:, 0]
        if len(rows):
            kind = KINDS.get(name, Kind())
            found.append(Evidence(name, kind, labels.gaze[rows].double(), labels.head[rows].double()))
    return found


def spread_rows(count: int, most: int) -> Sequence[int]:
    """At most `most` of `count` rows, evenly spaced."""
    if count <= most:
        return range(count)
    return torch.linspace(0, count - 1, most, dtype=torch.float64).round().long().tolist()
