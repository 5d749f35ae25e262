"""How far from the true direction of gaze predictions are, and whether they know it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from gaze.directions.figures import figures
from gaze.directions.rows import FLOATS, DirectionRows, joined, rows_of
from gaze.metrics.collapse import Collapse
from gaze.types import DirectionPrediction, DirectionTargets

ALIAS = "error_deg"


class AngularError(Metric):
    """``error_deg``, the mean angle, and every other figure of `gaze.directions.figures` that prediction and targets allow.

    Figures per person, quantiles and ranks need all samples at once, so samples are kept: 128 bytes each, on the device.

    Args:
        only: names of the figures to report beside ``error_deg``, or none for all.
    """

    full_state_update = False
    floats: list[Tensor]
    subjects: list[Tensor]

    def __init__(self, only: list[str] | None = None) -> None:
        super().__init__()
        self.only = only
        self.collapse = Collapse("directions (x, y, z)", "the model does not look; look at its weights and the loss")
        self.add_state("floats", [], dist_reduce_fx="cat")
        self.add_state("subjects", [], dist_reduce_fx="cat")

    def update(self, prediction: DirectionPrediction, targets: DirectionTargets) -> None:
        """Add a batch."""
        rows = rows_of(prediction, targets)
        self.floats.append(torch.cat([getattr(rows, name) for name in FLOATS], 1))
        self.subjects.append(rows.subject)

    def compute(self) -> dict[str, Any]:
        rows = self.rows()
        if len(rows):
            self.collapse.look(rows.gaze.amin(0), rows.gaze.amax(0), len(rows))
        found = figures(rows)
        unknown = [name for name in self.only or () if name not in found and not len(rows)]
        if unknown:
            raise ValueError(f"metric.angular_error.only has {', '.join(unknown)}; there are {', '.join(found)}")
        kept = {ALIAS, *(found if self.only is None else self.only)}
        return {name: torch.tensor(value) for name, value in found.items() if name in kept}

    def rows(self) -> DirectionRows:
        """All samples so far, on the CPU."""
        floats = _whole(self.floats)
        subjects = _whole(self.subjects)
        if floats is None or subjects is None:
            return joined([])
        columns = dict(zip(FLOATS, floats.cpu().split(list(FLOATS.values()), 1), strict=True))
        return DirectionRows(subject=subjects.cpu(), **columns)


def _whole(parts: list[Tensor] | Tensor) -> Tensor | None:
    """The state as one tensor: torchmetrics has put it together already when replicas share it."""
    if isinstance(parts, Tensor):
        return parts
    return torch.cat(parts) if parts else None
