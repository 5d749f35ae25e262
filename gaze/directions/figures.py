"""The figures of predicted directions: one list of measures, for training, reports, intervals and every part of a split."""

from __future__ import annotations

from torch import Tensor

from gaze.directions.bands import gaze_bands, subsets
from gaze.directions.certainty import certainty_measures
from gaze.directions.rows import DirectionRows
from gaze.measures import Frames, Measure, by_person, mean, or_nan, quantile, spread

HITS_DEG = (5, 10)


def figures(rows: DirectionRows) -> dict[str, float]:
    """The figures of these rows; without those that they say nothing about, such as bands that nobody looks into.

    All figures, as NaN, if there are no rows.
    """
    return {m.name: m.figure() for m in measures(rows) if m.n or not len(rows)}


def measures(rows: DirectionRows) -> list[Measure]:
    """What there is to say of the rows. Errors are angles in degrees.

    ``error_deg`` mean, ``error_median_deg``, ``_p90``, ``_p95``, ``_std``; ``error_pitch_deg``, ``error_yaw_deg`` of each
    angle and ``bias_pitch_deg``, ``bias_yaw_deg`` mean signed error, predicted minus true; ``subject_error_deg`` mean over
    people of each one's mean, and ``_std`` over them; ``error_front180_deg`` and its like by `bands.subsets`;
    ``error_yaw_0_15_deg``, ``error_pitch_up_0_15_deg`` and so on by bands of the true gaze; ``hit_5deg``, ``hit_10deg``
    fraction within; and what `gaze.directions.certainty` says of heads that know how sure they are.
    """
    return [*error_measures(rows), *certainty_measures(rows)]


def error_measures(rows: DirectionRows) -> list[Measure]:
    """The measures that need nothing but directions."""
    frames = Frames(rows.subject)
    error, residual = rows.error.rad2deg(), rows.residual.rad2deg()
    of_person, people = by_person(error, rows.subject)
    found = [
        frames.measure("error_deg", error),
        frames.measure("error_median_deg", error, reduce=quantile(0.5)),
        frames.measure("error_p90_deg", error, reduce=quantile(0.9)),
        frames.measure("error_p95_deg", error, reduce=quantile(0.95)),
        frames.measure("error_std_deg", error, reduce=spread),
        *(frames.measure(f"error_{axis}_deg", residual[:, i].abs()) for i, axis in enumerate(("pitch", "yaw"))),
        *(frames.measure(f"bias_{axis}_deg", residual[:, i]) for i, axis in enumerate(("pitch", "yaw"))),
        Measure("subject_error_deg", of_person, people, mean),
        Measure("subject_error_std_deg", of_person, people, spread),
        *(frames.measure(f"hit_{angle}deg", or_nan(error < angle, error)) for angle in HITS_DEG),
    ]
    parts: dict[str, Tensor] = dict(subsets(rows))
    parts |= {f"{band.of}_{band.name}": band.mask for band in gaze_bands(rows)}
    return found + [frames.measure(f"error_{name}_deg", error[mask], mask) for name, mask in parts.items()]
