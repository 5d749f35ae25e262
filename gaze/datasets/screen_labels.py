"""The labels of a split of screen recordings, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from gaze.label_units import CM


@dataclass(frozen=True)
class ScreenLabels:
    """One row per frame. Points are in prediction space (gaze/geometry.py), cm unless `unit` says otherwise; numbers
    index the lists of names."""

    point: Float[Tensor, "n 2"]
    geometry: Float[Tensor, "n 12"]  # as in ScreenInputs; NaN where unknown
    screen_cm: Float[Tensor, "n 2"]  # as the user holds the device; NaN where unknown, as in the next two
    screen_px: Float[Tensor, "n 2"]
    centre: Float[Tensor, "n 2"]  # of the screen, like `point`
    orientation: Int[Tensor, "n"]  # 1 to 4
    kind: Int[Tensor, "n"]  # row of gaze.devices.KINDS; -1 unknown
    device: Int[Tensor, "n"]
    subject: Int[Tensor, "n"]
    recording: Int[Tensor, "n"]
    fixation: Int[Tensor, "n"]  # one (recording, dot); -1 where the dot is unknown
    dot: Int[Tensor, "n"]  # the number of the dot in its recording; -1 unknown
    calibration: Int[Tensor, "n"]  # 1 where the dot is meant for calibration
    weight: Float[Tensor, "n"]  # of sampling
    sample_id: Sequence[str]
    devices: list[str]
    subjects: list[str]
    recordings: list[str]
    unit: str = CM  # of `point` and `centre`, a row of gaze.label_units.UNITS

    def __len__(self) -> int:
        return len(self.sample_id)
