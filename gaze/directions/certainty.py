"""Does a head know how sure it is? Coverage of its cones and intervals, likelihood, and whether it doubts where it errs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.concentration import mean_angle, negative_log_likelihood, one_minus_cosine, quantile, share_within
from gaze.directions.rows import DirectionRows
from gaze.measures import Frames, Measure, Reduce, mean, or_nan
from gaze.measures import quantile as quantile_of
from gaze.spreads import half_width, on_sphere

CONES = (0.5, 0.68, 0.9)  # shares of directions that cones are to hold
INTERVAL = 0.8  # share of angles that intervals of spreads are to hold, as those of Gaze360


def certainty_measures(rows: DirectionRows) -> list[Measure]:
    """What there is to say of how sure the predictions are; of no samples where the head says nothing of it.

    Of a concentration: ``coverage_50``, ``_68``, ``_90`` shares of true directions within the cone that should hold as
    many; ``calibration_error`` the mean distance of these from what they should be; ``nll`` mean negative
    log-likelihood, nats; ``sharpness_deg`` median radius of the 68 % cones. Of a spread: ``interval_coverage_pitch``,
    ``_yaw`` shares within the interval of 1.28 standard deviations to both sides, which is to hold 0.8 whichever head
    says it. Of either: ``spearman`` rank correlation of the predicted mean angle with the error; ``ause`` area between
    the curves of the mean error of what remains as the least sure samples go first, and the worst ones: 0 as good as
    knowing the errors, 1 as good as chance.
    """
    sure, spread = ~rows.kappa.isnan(), ~rows.spread.isnan().all(-1)
    # All rows or none: a prediction that failed must not go away with its row.
    concentrated = rows.at(torch.ones_like(sure) & sure.any())
    spreading = rows.at(torch.ones_like(spread) & spread.any())
    doubting = concentrated if len(concentrated) else spreading
    frames = Frames(concentrated.subject)
    within = share_within(concentrated.kappa, concentrated.error)
    nll = negative_log_likelihood(concentrated.kappa, one_minus_cosine(concentrated.error))
    radius = quantile(concentrated.kappa, 0.68).rad2deg()
    reach = half_width(INTERVAL) * spreading.spread
    inside = or_nan(spreading.residual.abs() <= reach, spreading.residual + reach)
    error, doubt = doubting.error, doubt_of(doubting)
    ranked = Frames(doubting.subject)
    # What fails in either has no rank in both.
    either = torch.where(doubt.isnan(), doubt, error)
    return [
        *(frames.measure(f"coverage_{round(100 * q)}", or_nan(within <= q, within)) for q in CONES),
        frames.measure("calibration_error", within, reduce=miscalibration),
        frames.measure("nll", nll),
        frames.measure("sharpness_deg", radius, reduce=quantile_of(0.5)),
        *(
            Frames(spreading.subject).measure(f"interval_coverage_{axis}", inside[:, i])
            for i, axis in enumerate(("pitch", "yaw"))
        ),
        ranked.measure("spearman", either, reduce=rank_correlation(doubt)),
        ranked.measure("ause", either, reduce=excess_risk(doubt)),
    ]


def doubt_of(rows: DirectionRows) -> Float[Tensor, "n"]:
    """How far off each prediction is by its own account, radians; NaN where it says nothing of it."""
    return torch.where(rows.kappa.isnan(), on_sphere(rows.spread, rows.gaze).norm(dim=-1), mean_angle(rows.kappa))


# --- Reductions --------------------------------------------------------------------------------


def miscalibration(within: Tensor, weight: Tensor) -> Tensor:
    """Mean distance of the coverage of the cones from their share, of the shares that the errors are within."""
    off = [(mean((within <= q).to(within.dtype), weight) - q).abs() for q in CONES]
    return torch.stack(off).mean(0)


def rank_correlation(other: Float[Tensor, "m"]) -> Reduce:
    """Spearman's: of the ranks of the values and those of `other`; samples that are alike share a rank."""

    def reduce(value: Tensor, weight: Tensor) -> Tensor:
        ours, theirs = (_ranks(column, weight) for column in (value, other.nan_to_num()))
        ours, theirs = (rank - mean(rank, weight)[:, None] for rank in (ours, theirs))
        both, one, two = (mean(a * b, weight) for a, b in ((ours, theirs), (ours, ours), (theirs, theirs)))
        return both / (one * two).sqrt()  # NaN where all are alike

    return reduce


def excess_risk(doubt: Float[Tensor, "m"]) -> Reduce:
    """The area under the curve of what remains, above the oracle's, as a fraction of what chance has above it (AUSE)."""

    def reduce(error: Tensor, weight: Tensor) -> Tensor:
        ours, best = (
            _area(error, weight, by.argsort(descending=True, stable=True)) for by in (doubt.nan_to_num(), error)
        )
        chance = mean(error, weight)
        return (ours - best) / (chance - best)

    return reduce


def remaining_error(error: Float[Tensor, "m"], order: Int[Tensor, "m"]) -> Float[Tensor, "m"]:
    """The mean error of what remains after each sample of an order has gone, before it does."""
    return _remaining(error[order], torch.ones(1, len(error), dtype=error.dtype))[0]


def _area(error: Tensor, weight: Tensor, order: Tensor) -> Tensor:
    weight = weight[:, order]
    return mean(_remaining(error[order], weight), weight)


def _remaining(error: Tensor, weight: Tensor) -> Tensor:
    def from_here(value: Tensor) -> Tensor:
        return value.flip(-1).cumsum(-1).flip(-1)

    return from_here(error * weight) / from_here(weight).clamp(min=1e-12)


def _ranks(value: Tensor, weight: Tensor) -> Tensor:
    """The middle rank of each value, with these weights."""
    kinds, which = value.unique(return_inverse=True)
    total = weight.new_zeros(len(weight), len(kinds)).index_add_(1, which, weight)
    return (total.cumsum(-1) - total / 2)[:, which]
