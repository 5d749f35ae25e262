"""What keeps heads in 3D plausible beside their likeness: small corrections, landmarks in place, factors apart."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.heatmaps import check_mode
from gaze.losses.direction import needed
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, FacePrediction, Progress

Of = Literal["identity_offset", "expression_offset", "camera_offset"]


class Offset(Loss):
    """Mean square of what a model has learnt to add to the codes or the pose of a sample.

    In validation there may be nothing of the kind: what was never trained on has no corrections, and they cost nothing.

    Args:
        of: the field of `gaze.types.FacePrediction`.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: the field is unknown; later, the model has no such corrections.
    """

    def __init__(self, of: str, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        check_mode(of, Of, "of")
        self.of = of

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        offset: Tensor | None = getattr(prediction, self.of)
        if offset is None and not self.training:
            return prediction.image.new_zeros(())
        return needed(offset, self.of, "corrections of samples", "choose a model that learns them").square().mean()


class LandmarkDeformation(Loss):
    """Mean squared distance per coordinate from the deformed landmarks to those of the sample, in the canonical frame."""

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        found = needed(prediction.landmarks, "landmark_deformation", "landmarks", "choose a model that deforms them")
        truth = batch.targets.landmarks
        if truth is None:
            raise ValueError("loss.landmark_deformation needs landmarks, which the data set does not give; take it out")
        if found.shape != truth.shape:
            raise ValueError(
                f"the model has {found.shape[-2]} landmarks and the data set {truth.shape[-2]}; expected the same: train "
                "the model on files of one layout"
            )
        return (found - truth).square().mean()


class Orthogonality(Loss):
    """How little the factors of a head (gaze, pose, expression, identity) are kept apart by what conditions a renderer.

    The squared cosines of their embeddings, plus the overlap of the subspaces that read them, plus `collapse` times how
    little the embeddings vary, without which embeddings of nothing would be best. Parts that the model leaves out don't
    count.

    Args:
        collapse: see above.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: `collapse` is negative; later, the model tells none of these.
    """

    title = "Orthogonality Loss"

    def __init__(self, collapse: float = 0.1, weight: float | Schedule = 0.01) -> None:
        super().__init__(weight)
        if collapse < 0:
            raise ValueError(f"loss.orthogonality.collapse is {collapse}; expected a number from 0 on")
        self.collapse = collapse

    def forward(self, prediction: FacePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        parts = [(prediction.factor_cosine, 1.0), (prediction.factor_overlap, 1.0)]
        parts.append((prediction.factor_collapse, self.collapse))
        known = [share * value for value, share in parts if value is not None]
        if not known and self.training:
            raise ValueError(
                "loss.orthogonality needs embeddings of gaze, pose, expression and identity, of which the model says "
                "nothing: switch them on in its renderer, or take the loss out"
            )
        return torch.stack(known).sum() if known else prediction.image.new_zeros(())
