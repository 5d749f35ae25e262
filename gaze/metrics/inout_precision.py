"""How well does the in/out logit tell targets in the picture from those outside?"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from gaze.metrics.collapse import Collapse
from gaze.metrics.per_head import HeadFigure, HeadRanking
from gaze.metrics.ranking import average_precision
from gaze.types import ScenePrediction, SceneTargets


class InoutPrecision(Metric):
    """``inout_ap``: average precision over all heads whose label is known; in the picture is positive.

    A constant prediction scores the share of positives, about 0.64 on VideoAttentionTarget. Ranked by
    logits, so that what a sigmoid rounds to 1 is still told apart. NaN without a positive, and when the logit of
    a known label is NaN; 1 where nobody looks out of the picture, as in GazeFollow's test split.
    """

    full_state_update = False
    logits: list[Tensor]
    labels: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("logits", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.collapse = Collapse("in/out logits", "inout_ap is the share of positives; look at the labels and the loss")

    def heads(self, prediction: ScenePrediction, targets: SceneTargets) -> dict[str, HeadFigure | HeadRanking]:
        """What the precision is computed from, and ``inout_accuracy``: is the logit on the right side of 0?"""
        logit = _logits(prediction).double()
        known = ~targets.inout.isnan()
        right = ((logit > 0) == (targets.inout == 1)).double().masked_fill(logit.isnan(), torch.nan)
        return {
            "inout_ap": HeadRanking(logit, targets.inout == 1, known),
            "inout_accuracy": HeadFigure(right, known),
        }

    def update(
        self,
        prediction: ScenePrediction,
        targets: SceneTargets,
        heads: Mapping[str, HeadFigure | HeadRanking] | None = None,
    ) -> None:
        """Add a batch; `heads` has nothing in it that the prediction has not."""
        self.logits.append(_logits(prediction))
        self.labels.append(targets.inout)

    def compute(self) -> dict[str, Tensor]:
        if len(self.logits) == 0:
            return {"inout_ap": torch.tensor(torch.nan, device=self.device)}
        logits, labels = dim_zero_cat(self.logits), dim_zero_cat(self.labels)
        known = ~labels.isnan()
        if known.any():
            judged = logits[known]
            self.collapse.look(judged.amin()[None], judged.amax()[None], len(judged))
        broken = (known & logits.isnan()).any()  # sorting would put NaN somewhere
        return {"inout_ap": average_precision(logits[known], labels[known]).masked_fill(broken, torch.nan)}


def _logits(prediction: ScenePrediction) -> Float[Tensor, "n"]:
    if prediction.inout is None:
        raise ValueError(
            "the model predicts no in/out, which this metric is about; "
            "set head.inout=true, or take inout_precision out of metric"
        )
    return prediction.inout
