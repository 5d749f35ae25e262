"""The figures of predicted directions: one list of measures, for training, reports, intervals and every part of a split."""

from __future__ import annotations

import torch
from torch import Tensor

from gaze.directions.bands import gaze_bands, subsets
from gaze.directions.certainty import certainty_measures
from gaze.directions.motion import motion_measures
from gaze.directions.rows import DirectionRows
from gaze.measures import Frames, Measure, Reduce, by_person, mean, or_nan, quantile, spread

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
    fraction within; ``class_accuracy`` share of faces for which the most similar gaze prompt is the one of the true
    direction, and ``class_chance`` what as many choices of each prompt would reach by chance, of those that look aside;
    what `gaze.directions.certainty` says of heads that know how sure they are; and `gaze.directions.motion` of videos.
    """
    return [*error_measures(rows), *class_measures(rows), *certainty_measures(rows), *motion_measures(rows)]


def class_measures(rows: DirectionRows) -> list[Measure]:
    """The measures of the choice among gaze prompts."""
    defined = ~rows.sector[:, 1].isnan()
    (chosen, true), frames = rows.sector[defined].T, Frames(rows.subject[defined])
    right = or_nan(chosen == true, chosen)
    return [frames.measure("class_accuracy", right), frames.measure("class_chance", chosen, reduce=agreement(true))]


def agreement(other: Tensor) -> Reduce:
    """How often both would be the same if they had nothing to do with each other."""

    def reduce(value: Tensor, weight: Tensor) -> Tensor:
        kinds = torch.cat([value, other]).unique()
        ours, theirs = (mean((column == kinds[:, None]).to(value)[:, None], weight) for column in (value, other))
        return (ours * theirs).sum(0)

    return reduce


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
