"""Predicted and true points of gaze with what figures need to know of each: screen, device, user, fixation."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.errors import UserError
from gaze.label_units import CM, UNITS
from gaze.types import ScreenTargets


@dataclass(frozen=True)
class PointRows:
    """n frames. Points are in prediction space, in `unit`; numbers as in `ScreenTargets`. Unknown: NaN, or -1."""

    point: Float[Tensor, "n 2"]  # predicted; NaN where prediction failed
    truth: Float[Tensor, "n 2"]
    screen_cm: Float[Tensor, "n 2"]
    screen_px: Float[Tensor, "n 2"]
    centre: Float[Tensor, "n 2"]  # of the screen
    origin: Float[Tensor, "n 3"]  # midpoint of the eyes
    distance_cm: Float[Tensor, "n"]
    orientation: Int[Tensor, "n"]
    kind: Int[Tensor, "n"]
    device: Int[Tensor, "n"]
    subject: Int[Tensor, "n"]
    fixation: Int[Tensor, "n"]
    unit: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.point)

    def at(self, rows: Tensor) -> PointRows:
        """Some of the frames, by a mask or by their numbers."""
        return PointRows(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


LENGTHS = {"screen_cm": 2, "screen_px": 2, "centre": 2, "origin": 3, "distance_cm": 0}
NUMBERS = ("orientation", "kind", "device", "subject", "fixation", "unit")


def unit_of(rows: PointRows, unsaid: str = CM) -> str:
    """The unit that the points of all rows are in; `unsaid` if none says it.

    Raises:
        UserError: they are in several.
    """
    found = [UNITS[number] if number >= 0 else unsaid for number in rows.unit.unique().tolist()]
    if len(set(found)) > 1:
        raise UserError(f"points are in {' and in '.join(found)}, which have no common error; evaluate them apart")
    return found[0] if found else unsaid


def rows_of(point: Float[Tensor, "n 2"], targets: ScreenTargets) -> PointRows:
    """The rows of predicted points and their targets; float64, on the device of the points."""
    point = point.double()
    found: dict[str, Tensor] = {}
    for name, width in LENGTHS.items():
        value = getattr(targets, name)
        shape = (len(point), width) if width else (len(point),)
        found[name] = point.new_full(shape, torch.nan) if value is None else value.double()
    for name in NUMBERS:
        value = getattr(targets, name)
        found[name] = torch.full((len(point),), -1, device=point.device) if value is None else value.long()
    return PointRows(point=point, truth=targets.point.double(), **found)


def joined(parts: list[PointRows]) -> PointRows:
    """All rows of several, in order; none if there are none."""
    if not parts:
        return rows_of(torch.zeros(0, 2), ScreenTargets(torch.zeros(0, 2)))
    return PointRows(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(PointRows)})
