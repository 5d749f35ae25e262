"""How far from the true point of gaze predictions are."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from gaze.metrics.collapse import Collapse
from gaze.screens.figures import figures, named
from gaze.screens.rows import LENGTHS, NUMBERS, PointRows, joined, rows_of, unit_of
from gaze.types import ScreenPrediction, ScreenTargets

ALIAS = "error"


class PointError(Metric):
    """``error_cm``, the mean distance, and every other figure of `gaze.screens.figures` that the targets allow.

    Where labels are in another unit than cm, figures have it in their names: ``error_half_windows``. ``error`` is the mean
    distance, too, whatever the unit, for what must not depend on it, such as `trainer.monitor`.

    Figures per user and per fixation need all frames at once, so frames are kept: 150 bytes each.

    Args:
        unit: of labels whose data set does not say theirs.
        only: names of the figures to report beside ``error``, or none for all; cm in them stands for the labels' unit.
    """

    full_state_update = False
    numbers: list[Tensor]
    lengths: list[Tensor]

    def __init__(self, unit: str = "cm", only: list[str] | None = None) -> None:
        super().__init__()
        self.unit, self.only = unit, only
        self.collapse = Collapse("points (x, y)", "the model does not look; look at its weights and the loss")
        self.add_state("lengths", [], dist_reduce_fx="cat")
        self.add_state("numbers", [], dist_reduce_fx="cat")

    def update(self, prediction: ScreenPrediction, targets: ScreenTargets) -> None:
        """Add a batch."""
        rows = rows_of(prediction.point, targets)
        columns = [rows.point, rows.truth, *(getattr(rows, name).reshape(len(rows), -1) for name in LENGTHS)]
        self.lengths.append(torch.cat(columns, 1))
        self.numbers.append(torch.stack([getattr(rows, name) for name in NUMBERS], 1))

    def compute(self) -> dict[str, Any]:
        rows = self.rows()
        if len(rows):
            self.collapse.look(rows.point.amin(0), rows.point.amax(0), len(rows))
        unit = unit_of(rows, self.unit)
        found = figures(rows, unit)
        only = [named(name, unit) for name in self.only or found]
        unknown = [name for name in only if name not in found and not len(rows)]
        if unknown:
            raise ValueError(f"metric.point_error.only has {', '.join(unknown)}; there are {', '.join(found)}")
        kept = {ALIAS: found[named("error_cm", unit)]} | {name: found[name] for name in found if name in only}
        return {name: torch.tensor(value) for name, value in kept.items()}

    def rows(self) -> PointRows:
        """All frames so far, on the CPU."""
        lengths = _whole(self.lengths)
        if lengths is None:
            return joined([])
        widths = [2, 2, *(max(width, 1) for width in LENGTHS.values())]
        point, truth, *facts = lengths.cpu().split(widths, 1)
        named = {n: fact if width else fact[:, 0] for (n, width), fact in zip(LENGTHS.items(), facts, strict=True)}
        numbers = _whole(self.numbers)
        assert numbers is not None
        return PointRows(point, truth, **named, **dict(zip(NUMBERS, numbers.cpu().unbind(1), strict=True)))


def _whole(parts: list[Tensor] | Tensor) -> Tensor | None:
    """The state as one tensor: torchmetrics has put it together already when replicas share it."""
    if isinstance(parts, Tensor):
        return parts
    return torch.cat(parts) if parts else None
