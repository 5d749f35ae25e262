"""The figures of redirected heads with their intervals, and whether their judge is fit to judge."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.bootstrap import Interval
from gaze.geometry import angular_error
from gaze.measures import Frames, Measure
from gaze.people_intervals import over_people
from gaze.redirection.behaviour import Speed
from gaze.redirection.observation import Observed

INSIDE, OUTSIDE = "within the trained yaw", "beyond the trained yaw"
FIT_TO_JUDGE = 0.6  # of the error of guessing the mean direction: a judge's own must be smaller


class Evaluated(NamedTuple):
    """All there is to report."""

    name: str
    observed: Observed
    extras: Mapping[str, Float[Tensor, "n"]]  # of some samples: how gaze follows along sweeps
    trained_yaw: float | None  # largest yaw in the head of training, radians
    speed: Speed | None
    facts: Mapping[str, Any]  # how it was measured


def summary(
    found: Evaluated, resamples: int = 1000, seed: int = 0
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, Interval]]]:
    """Figures of the model, of guesses, and of the model within and beyond the trained yaw, with 95 % intervals.

    Intervals are over people, each with all pairs; over pairs where the split has one person only.
    """
    observed = found.observed
    everybody = torch.ones(len(observed.pairs), dtype=torch.bool)
    rows = {name: (row, everybody) for name, row in observed.figures.items()}
    if found.trained_yaw is not None:
        inside = observed.gaze[:, 1].abs() <= found.trained_yaw
        for part, mask in ((INSIDE, inside), (OUTSIDE, ~inside)):
            if mask.any() and not mask.all():
                rows[f"{found.name}, {part}"] = (observed.at(mask)[found.name], mask)
    values, ends = dict[str, dict[str, float]](), dict[str, dict[str, Interval]]()
    for name, (row, mask) in rows.items():
        subject = observed.subject[mask]
        values[name] = {m.name: m.figure() for m in measures(row, subject)}
        drawn = subject if len(subject.unique()) > 1 else torch.full_like(subject, -1)
        ends[name] = over_people(partial(measures, row), drawn, resamples, seed)
        if name in observed.fid:
            values[name]["fid"] = observed.fid[name]
    for key, value in found.extras.items():
        values[found.name][key] = float(value.mean())
    if found.speed is not None:
        values[found.name]["frames_per_s"] = found.speed.single
    return values, ends


def doubt(found: Evaluated) -> str | None:
    """What is wrong with the judge of gaze, if anything: one that sees little finds that everything looks alike."""
    own = found.observed.figures[found.name].get("estimator_gaze_deg")
    label = found.observed.direction
    label = label[label.isfinite().all(1)]
    if own is None or not len(label):
        return None
    error, guess = float(own.nanmean()), float(angular_error(label, label.mean(0).expand_as(label)).rad2deg().mean())
    if error < FIT_TO_JUDGE * guess:
        return None
    return (
        f"estimators.gaze is {error:.1f} degrees off on the photographs themselves, and their mean direction {guess:.1f}: it "
        "can't tell gazes apart, and gaze_deg says nothing; take one that was trained longer, or on more people"
    )


def measures(row: Mapping[str, Float[Tensor, "p"]], subject: Int[Tensor, "p"]) -> list[Measure]:
    """Means of figures over pairs; those that a pair does not allow, such as of eyes that are not seen, leave it out."""
    frames = Frames(subject)
    kept = {key: ~value.isnan() for key, value in row.items()}
    return [frames.measure(key, value[kept[key]].double(), kept[key]) for key, value in row.items() if kept[key].any()]
