"""Does a rendered face look where the photograph does, as another run sees it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.heatmaps import check_mode
from gaze.losses.direction import angle_between
from gaze.losses.loss import Loss
from gaze.losses.region_views import Viewer
from gaze.perceptual.estimators import Estimator
from gaze.schedules import Schedule
from gaze.types import Batch, FacePrediction, Progress

Unit = Literal["rad", "deg"]


class RedirectedGaze(Loss):
    """The angle between what an estimator sees in the rendered head and in the photograph's, each on white.

    It is what the estimator sees in the photograph that counts, not the label, so its own errors cancel. The estimator is
    frozen and the photograph's direction has no gradient. With several pictures their angles are averaged.

    Args:
        estimator: a finished model from `DirectionInputs` to `DirectionPrediction`. Take another one to evaluate with.
        pictures: `refined`, as GazeGaussian's paper has it (Wei et al. 2025), `raw`, as its code has it, or `both`.
        unit: rad or deg. In degrees a small weight is a large one: 0.1 of 6 degrees is more than all else together.
        size: (height, width) px that the estimator sees. None: what its run was trained on.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: a setting is unknown, or the estimator is a model of another task.
    """

    title = "Angular Loss"

    def __init__(
        self,
        estimator: nn.Module,
        pictures: str = "refined",
        unit: str = "rad",
        size: Sequence[int] | None = None,
        weight: float | Schedule = 0.5,
    ) -> None:
        super().__init__(weight)
        check_mode(unit, Unit, "loss.redirected_gaze.unit")
        self.estimator = Estimator(estimator, size)
        self.viewer = Viewer(pictures, masked=True, name="redirected_gaze")
        self.degrees = unit == "deg"

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        views = self.viewer(prediction, batch.targets, "head", self.training)
        truth = self.estimator.seen(views.truth)
        found = self.estimator(torch.cat(views.found))
        angle = angle_between(found, truth.repeat(len(views.found), 1)).mean()
        return angle.rad2deg() if self.degrees else angle
