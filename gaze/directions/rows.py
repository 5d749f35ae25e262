"""Predicted and true directions of gaze with what figures need to know of each sample."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gaze.directions.sectors import sectors
from gaze.geometry import angular_error, vector_to_pitch_yaw
from gaze.types import DirectionPrediction, DirectionTargets

# Fields of rows and their widths
FLOATS = {"gaze": 3, "truth": 3, "head": 2, "concentration": 1, "spread": 2, "sector": 2, "moment": 2}


@dataclass(frozen=True)
class DirectionRows:
    """n samples in float64. Unknown: NaN, or -1."""

    gaze: Float[Tensor, "n 3"]  # predicted; NaN where prediction failed
    truth: Float[Tensor, "n 3"]
    head: Float[Tensor, "n 2"]  # pitch, yaw, radians
    concentration: Float[Tensor, "n 1"]  # kappa
    spread: Float[Tensor, "n 2"]  # standard deviations of pitch and of yaw, radians
    sector: Float[Tensor, "n 2"]  # numbers of the gaze prompt that was chosen and of the right one
    moment: Float[Tensor, "n 2"]  # numbers of the recording and of the frame in it
    subject: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.gaze)

    def at(self, rows: Bool[Tensor, "n"] | Int[Tensor, "m"]) -> DirectionRows:
        """Some of the samples, by a mask or by their numbers."""
        return DirectionRows(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @property
    def error(self) -> Float[Tensor, "n"]:
        """Angles between prediction and truth, radians."""
        return angular_error(self.gaze, self.truth)

    @property
    def residual(self) -> Float[Tensor, "n 2"]:
        """Predicted minus true pitch and yaw, radians; yaw the short way round."""
        pitch, yaw = (vector_to_pitch_yaw(self.gaze) - vector_to_pitch_yaw(self.truth)).unbind(-1)
        return torch.stack([pitch, torch.atan2(yaw.sin(), yaw.cos())], -1)

    @property
    def kappa(self) -> Float[Tensor, "n"]:
        """`concentration` without its axis of one."""
        return self.concentration[:, 0]


def rows_of(prediction: DirectionPrediction, targets: DirectionTargets) -> DirectionRows:
    """The rows of a batch, on the device of the prediction."""
    gaze = prediction.gaze.double()
    said = {
        "truth": targets.gaze,
        "head": targets.head,
        "concentration": None if prediction.concentration is None else prediction.concentration[:, None],
        "spread": prediction.spread,
        "sector": _sector(prediction, targets),
        "moment": None,
    }
    found = {
        name: gaze.new_full((len(gaze), FLOATS[name]), torch.nan) if value is None else value.to(gaze)
        for name, value in said.items()
    }
    subject = torch.full((len(gaze),), -1, device=gaze.device) if targets.subject is None else targets.subject.long()
    return DirectionRows(gaze=gaze, subject=subject, **found)


def joined(parts: list[DirectionRows]) -> DirectionRows:
    """All rows of several, in order; none if there are none."""
    if not parts:
        return rows_of(DirectionPrediction(torch.zeros(0, 3)), DirectionTargets(torch.zeros(0, 3)))
    return DirectionRows(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(parts[0])})


def _sector(prediction: DirectionPrediction, targets: DirectionTargets) -> Float[Tensor, "n 2"] | None:
    if prediction.class_logits is None or prediction.class_angle is None:
        return None
    return sectors(targets.gaze, prediction.class_logits, prediction.class_angle)
