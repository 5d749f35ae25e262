"""Losses of how sure a head is of a direction: likelihoods, and the pinball loss of quantiles."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.concentration import negative_log_likelihood, one_minus_cosine
from gaze.losses.direction import angle_between, angle_residuals, needed
from gaze.losses.loss import Loss
from gaze.schedules import Schedule
from gaze.spreads import half_width, on_sphere
from gaze.types import Batch, DirectionPrediction, Progress


class DirectionNLL(Loss):
    """What likelihoods of directions share.

    Args:
        detach_mean: fit the uncertainty alone, about a mean that another loss trains. A likelihood that trains both
            explains hard samples by uncertainty instead of learning them.
        weight: of this term, a number or a schedule.
    """

    def __init__(self, detach_mean: bool = True, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        self.detach_mean = detach_mean

    def mean(self, prediction: DirectionPrediction) -> Float[Tensor, "b 3"]:
        """The direction that the distribution is about."""
        return prediction.gaze.detach() if self.detach_mean else prediction.gaze


class VonMisesFisherNLL(DirectionNLL):
    """The negative log-likelihood, nats, of the true direction under a von Mises-Fisher distribution."""

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        kappa = needed(prediction.concentration, "vmf_nll", "a concentration", "choose head=direction_vmf")
        far = one_minus_cosine(angle_between(self.mean(prediction), batch.targets.gaze))
        return negative_log_likelihood(kappa, far).mean()


class HeteroNLL(DirectionNLL):
    """(r^2 / sigma^2 + ln sigma^2) / 2 of the residuals of pitch and of yaw times cos pitch, averaged over both."""

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        sigma = needed(prediction.spread, "hetero_nll", "spreads of both angles", "choose head=direction_hetero")
        sigma = on_sphere(sigma, prediction.gaze.detach())
        residual = angle_residuals(self.mean(prediction), batch.targets.gaze, scaled=True)
        return ((residual / sigma).square() / 2 + sigma.log()).mean()


class Pinball(Loss):
    """The pinball loss of the quantiles q and 1 - q, which are the estimate - sigma and + sigma, radians.

    sigma is how far the quantiles of a normal distribution with the predicted spread are from its mean: 1.28 standard
    deviations for q = 0.1. Only this reach is fitted, whatever the distribution of the errors. Yaw residuals go round
    the seam at 180 degrees; those of Gaze360's code do not.

    Args:
        q: the lower quantile; 0.1 makes estimate +- sigma hold 80 % of the true angles.
        weight: of this term, a number or a schedule.

    Raises:
        ValueError: q is out of range.
    """

    def __init__(self, q: float = 0.1, weight: float | Schedule = 1.0) -> None:
        super().__init__(weight)
        if not 0 < q < 0.5:
            raise ValueError(f"loss.pinball.q is {q}; expected a quantile between 0 and 0.5")
        self.q = q

    def forward(self, prediction: DirectionPrediction, batch: Batch, progress: Progress) -> Float[Tensor, ""]:
        spread = needed(prediction.spread, "pinball", "a spread", "choose head=direction_pinball")
        sigma = half_width(1 - 2 * self.q) * spread
        residual = angle_residuals(prediction.gaze, batch.targets.gaze)
        low, high = residual + sigma, residual - sigma
        lower = torch.maximum(self.q * low, (self.q - 1) * low)
        upper = torch.maximum((1 - self.q) * high, -self.q * high)
        return (lower + upper).mean()
