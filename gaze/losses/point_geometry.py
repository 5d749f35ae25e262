"""Losses of what a geometric head finds on its way to the screen: where the eyes are, and which way they look."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.geometry import angular_error
from gaze.losses.loss import Loss
from gaze.types import Batch, Progress, ScreenPrediction


class GazeAngle(Loss):
    """The angle between the predicted and the true direction of gaze, radians, over the samples that have one."""

    def forward(self, prediction: ScreenPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        found, truth = _both(prediction.gaze, batch.targets.gaze, prediction, "gaze")
        known = truth.isfinite().all(-1)
        forward = truth.new_tensor([0.0, 0.0, -1.0]).expand_as(truth)
        error = angular_error(found, torch.where(known[:, None], truth, forward))
        return (error * known).sum() / known.sum().clamp(min=1)


class EyeOrigin(Loss):
    """Smooth L1 of the midpoint of the eyes in decimetres, over the samples whose label has one."""

    def forward(self, prediction: ScreenPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        found, truth = _both(prediction.origin, batch.targets.origin, prediction, "origin")
        known = truth.isfinite().all(-1, keepdim=True)
        error = F.smooth_l1_loss(found / 10, torch.where(known, truth, found.detach()) / 10, reduction="none").mean(-1)
        return error.sum() / known.sum().clamp(min=1)


def _both(
    found: Tensor | None, truth: Tensor | None, prediction: ScreenPrediction, name: str
) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
    if found is None:
        raise ValueError(f"a loss of {name} needs a head that predicts it: head=point_geometric")
    if truth is None:  # a data set without such labels: nothing is known of any sample
        truth = torch.full_like(found, torch.nan)
    return found, truth
