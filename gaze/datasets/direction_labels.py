"""What is known of the samples of a split of faces beside their pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor


class Attribute(NamedTuple):
    """A fact with a few values, such as the light that a renderer chose."""

    values: tuple[str, ...]
    of: Int[Tensor, "n"]  # row of `values`; -1 unknown


@dataclass(frozen=True)
class DirectionLabels:
    """One row per sample, in the order of the data set; no sample has to be decoded for them."""

    gaze: Float[Tensor, "n 3"]  # unit vectors, as in `gaze.geometry`
    head: Float[Tensor, "n 2"]  # pitch, yaw of the head, radians; NaN unknown
    subject: Int[Tensor, "n"]  # row of `subjects`
    subjects: tuple[str, ...]  # unique over data sets: mpiifacegaze/p00
    dataset: Int[Tensor, "n"]  # row of `datasets`
    datasets: tuple[str, ...]
    session: Int[Tensor, "n"]  # frames of one recording have one number; -1 unknown
    frame: Int[Tensor, "n"]  # number within the recording; -1 unknown
    detected: Bool[Tensor, "n"]  # is the face's box known? False for people seen from behind
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.gaze)
