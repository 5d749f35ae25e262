"""Is the gaze target in the picture?"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.losses.loss import Loss
from gaze.types import Batch, Progress, ScenePrediction


class InoutBCE(Loss):
    """Binary cross-entropy of the in/out logit, averaged over the heads whose label is known (not NaN)."""

    def forward(self, prediction: ScenePrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        if prediction.inout is None:
            raise ValueError(
                "the model predicts no in/out, which this loss is about; set head.inout=true, or take inout_bce out of loss"
            )
        labels = batch.targets.inout
        known = ~labels.isnan()
        target = labels.masked_fill(~known, 0.0).to(prediction.inout.dtype)
        per_head = F.binary_cross_entropy_with_logits(prediction.inout, target, reduction="none")
        return (per_head * known).sum() / known.sum().clamp(min=1)
