"""Losses of features that text guides: both steered ones apart, and the prompt of the true direction chosen."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.losses.direction import needed, normalised
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, DirectionPrediction, Progress

CENTRE_DEG = 5.0  # who looks this near to the camera is what a prompt without a direction speaks of


class Separation(Loss):
    """|cos(z1, z2)| of the tokens of f1 (context removed) and f2 (aligned with gaze), averaged over the samples.

    Args:
        margin: if given, relu(cos - margin) instead, which leaves opposite tokens alone.
        weight: of this term, a number or a schedule.
    """

    def __init__(self, margin: float | None = None, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        self.margin = margin

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        both = needed(
            prediction.steered, "separation", "tokens of f1 and f2", "choose a fusion that keeps both streams"
        )
        unit, _ = normalised(both)
        cosine = (unit[:, 0] * unit[:, 1]).sum(-1)
        return (cosine.abs() if self.margin is None else F.relu(cosine - self.margin)).mean()


class PrototypeCE(Loss):
    """Cross entropy of the similarities to the gaze prompts against the prompts near the true direction.

    Prompt i's target is proportional to exp(sharpness cos(psi - psi_i)), of the angles in the picture's plane, x right
    and y up. A gaze near the camera's axis has no direction in the picture: samples are weighted by
    min(1, sin(angle to the axis) / sin(near_deg)). A prompt without a direction is meant for who looks within 5
    degrees of the camera.

    Args:
        hard: one prompt, the nearest, is the target, and gazes within 1 degree of the axis have none.
        sharpness: beta; 8 gives the neighbours of the nearest of eight prompts a tenth of its share.
        near_deg: from which angle on a sample has its full weight.
        weight: of this term, a number or a schedule.
    """

    def __init__(
        self, hard: bool = False, sharpness: float = 8.0, near_deg: float = 10.0, weight: float | Schedule = 1.0
    ) -> None:
        super().__init__(weight)
        self.hard, self.sharpness, self.near_sine = hard, sharpness, math.sin(math.radians(near_deg))

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        hint = "keep the stream f2 and a codebook with texts, codebook=text or both"
        logits = needed(prediction.class_logits, "prototype_ce", "similarities to gaze prompts", hint)
        angle = needed(prediction.class_angle, "prototype_ce", "angles of gaze prompts", hint)
        target, share = self.targets(batch.targets.gaze, angle.to(logits))
        return (share * -(target * logits.log_softmax(-1)).sum(-1)).mean()

    def targets(
        self, gaze: Float[Tensor, "b 3"], angle: Float[Tensor, "g"]
    ) -> tuple[Float[Tensor, "b g"], Float[Tensor, "b"]]:
        """What the prompts' shares should be for each sample, and how much the sample counts."""
        x, y, z = gaze.unbind(-1)
        sine = torch.hypot(x, y)
        directed = angle.isfinite()
        nearness = (torch.atan2(-y, x)[:, None] - angle.nan_to_num()).cos()
        nearness = nearness.masked_fill(~directed, -torch.inf)
        if self.hard:
            target = F.one_hot(nearness.argmax(-1), len(angle)).to(gaze)
            share = (sine / self.near_sine).clamp(max=1) * (sine >= math.sin(math.radians(1)))
        else:
            target, share = (self.sharpness * nearness).softmax(-1), (sine / self.near_sine).clamp(max=1)
        middle = (~directed).to(gaze)
        into = (sine < math.sin(math.radians(CENTRE_DEG))) & (z < 0) & (middle.sum() > 0)
        target = torch.where(into[:, None], middle / middle.sum().clamp(min=1), target)
        return target, torch.where(into, torch.ones_like(share), share)
