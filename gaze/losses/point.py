"""Losses of a point on a screen, and what they share: which samples count, and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gaze.devices import KINDS
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.types import Batch, Progress, ScreenPrediction, ScreenTargets


class PointLoss(Loss):
    """A loss of each sample's point, averaged over the batch.

    A picture cut from two has two truths; their losses, not their points, are added by their shares, because
    a rectangle pasted into a picture does not move gaze by its area.

    Args:
        hardest: add the mean over this fraction of the batch with the largest losses (online hard example mining,
            Shrivastava et al. 2016, as the winners of the ETH-XGaze challenge of 2021 used it: 0.3); 0 adds nothing.
        spread_cm: by kind of device (phone, tablet, laptop, desktop): how far its points are from each other, roughly.
            Losses are divided by it, relative to the spread over all devices, so that small screens
            count as much as large ones. Empty: they count by their centimetres.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: a fraction or spread out of range, or no such kind of device.
    """

    def __init__(
        self,
        hardest: float = 0.0,
        spread_cm: Mapping[str, float] | None = None,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(weight)
        if not 0 <= hardest <= 1:
            raise ValueError(f"hardest is {hardest}; expected a fraction of the batch, 0 to 1")
        spread_cm = spread_cm or {}
        wrong = {kind: cm for kind, cm in spread_cm.items() if kind not in KINDS or cm <= 0}
        if wrong:
            raise ValueError(f"spread_cm is {wrong}; expected kinds of {', '.join(KINDS)}, each with cm above 0")
        self.hardest = hardest
        # The last entry is that of devices of no known kind (-1), and of kinds without a figure: NaN leaves them alone.
        spreads = [spread_cm.get(kind, math.nan) for kind in KINDS] + [math.nan]
        self.register_buffer("spreads", torch.tensor(spreads) if spread_cm else None, persistent=False)

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        """The loss of each sample, were `point` (cm) the truth."""
        raise NotImplementedError

    def forward(self, prediction: ScreenPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        targets = batch.targets
        loss = self.per_sample(prediction, targets.point)
        if targets.other_point is not None and targets.other_share is not None:
            # Where there is no other picture its point may be anything, NaN too, which would reach gradients.
            mixed = targets.other_share > 0
            other = self.per_sample(prediction, torch.where(mixed[:, None], targets.other_point, targets.point))
            loss = torch.where(mixed, loss.lerp(other, targets.other_share), loss)
        loss = loss * self._balance(prediction, targets)
        if not self.hardest:
            return loss.mean()
        worst = loss.topk(max(1, round(self.hardest * len(loss)))).values
        return loss.mean() + worst.mean()

    def _balance(self, prediction: ScreenPrediction, targets: ScreenTargets) -> Float[Tensor, "b"] | float:
        spreads: Tensor | None = self.spreads  # type: ignore[assignment]
        if spreads is None or targets.kind is None:
            return 1.0
        overall = units(prediction).mean(-1)
        return (overall / spreads[targets.kind]).nan_to_num(nan=1.0)


def units(prediction: ScreenPrediction) -> Float[Tensor, "b 2"]:
    """cm per standardised unit of a prediction; 1 where its head does not standardise."""
    return torch.ones_like(prediction.point) if prediction.unit_cm is None else prediction.unit_cm


def standardised_error(prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2"]:
    """By how many standard deviations of the training split's points a prediction is off, by axis."""
    return (prediction.point - point) / units(prediction)


class PointMSE(PointLoss):
    """The squared length of the standardised error."""

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        return standardised_error(prediction, point).square().sum(-1)


class PointSmoothL1(PointLoss):
    """|e| of the standardised error, quadratic below `beta`, averaged over both axes.

    Args:
        beta: standardised units; 0.1 is about half a centimetre. 0 makes it L1.
        hardest, spread_cm, weight: see `PointLoss`.
    """

    def __init__(
        self,
        beta: float = 0.1,
        hardest: float = 0.0,
        spread_cm: Mapping[str, float] | None = None,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(hardest, spread_cm, weight)
        if beta < 0:
            raise ValueError(f"beta is {beta}; expected 0 or more standardised units")
        self.beta = beta

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        error = standardised_error(prediction, point)
        return F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=self.beta).mean(-1)


class PointEuclidean(PointLoss):
    """The distance in cm: what the metric reports."""

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        # The root of exactly 0 has an infinite gradient.
        return ((prediction.point - point).square().sum(-1) + 1e-8).sqrt()


class PointWing(PointLoss):
    """Wing loss (Feng et al., CVPR 2018) of the error in cm, summed over both axes: logarithmic for small errors.

    w ln(1 + |e| / d) below w, |e| - (w - w ln(1 + w / d)) above.

    Args:
        width_cm, curvature_cm: w and d.
        hardest, spread_cm, weight: see `PointLoss`.
    """

    def __init__(
        self,
        width_cm: float = 2.0,
        curvature_cm: float = 0.5,
        hardest: float = 0.0,
        spread_cm: Mapping[str, float] | None = None,
        weight: float | Schedule = 1.0,
    ) -> None:
        super().__init__(hardest, spread_cm, weight)
        if width_cm <= 0 or curvature_cm <= 0:
            raise ValueError(f"wing: width_cm {width_cm}, curvature_cm {curvature_cm}; expected both above 0")
        self.width, self.curvature = width_cm, curvature_cm

    def per_sample(self, prediction: ScreenPrediction, point: Float[Tensor, "b 2"]) -> Float[Tensor, "b"]:
        error = (prediction.point - point).abs()
        gap = self.width - self.width * math.log1p(self.width / self.curvature)
        near = self.width * torch.log1p(error / self.curvature)
        return torch.where(error < self.width, near, error - gap).sum(-1)
