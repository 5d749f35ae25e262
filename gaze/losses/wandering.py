"""What must hold where gaze wanders from the label's, although no picture shows it (after DiT-Gaze, arXiv 2511.11231)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from gaze.head_regions import far_from, mean_inside
from gaze.losses.direction import angle_between
from gaze.losses.loss import Loss
from gaze.perceptual.estimators import Estimator
from gaze.schedules import Schedule
from gaze.types import Batch, FaceInputs, FacePrediction, FaceTargets, Progress


class Leak(Loss):
    """Mean absolute difference between a head and the same with another gaze, outside of the eyes: nothing else may change.

    Only the view whose gaze wandered learns from it.

    Raises:
        ValueError: the model draws no such view, or the samples have no masks of the eyes.
    """

    def forward(
        self, prediction: FacePrediction, batch: Batch[FaceInputs, FaceTargets], progress: Progress
    ) -> Float[Tensor, ""]:
        if not self.training:
            return prediction.image.new_zeros(())
        left, right = batch.targets.left_eye_mask, batch.targets.right_eye_mask
        if prediction.wandered is None or left is None or right is None:
            raise ValueError("loss.leak needs model.wander_rad above 0, and samples with masks of both eyes")
        return mean_inside((prediction.wandered - prediction.image.detach()).abs(), far_from(left | right))


class WanderedGaze(Loss):
    """Mean angle, radians, between the gaze that was asked for and what a frozen model of another run sees there.

    Args:
        estimator: a finished model from `DirectionInputs` to `DirectionPrediction`.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: the estimator is a model of another task, or the model draws no view whose gaze wanders.
    """

    def __init__(self, estimator: nn.Module, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        self.estimator = Estimator(estimator, whose="loss.wandered_gaze")

    def forward(
        self, prediction: FacePrediction, batch: Batch[FaceInputs, FaceTargets], progress: Progress
    ) -> Float[Tensor, ""]:
        if not self.training:
            return prediction.image.new_zeros(())
        if prediction.wandered is None or prediction.wandered_gaze is None:
            raise ValueError("loss.wandered_gaze needs model.wander_rad above 0")
        return angle_between(self.estimator(prediction.wandered), prediction.wandered_gaze).mean()
