"""The figures of predicted points: one list of measures, for training, reports, intervals and every part of a split."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.devices import KINDS
from gaze.geometry import angle_at_distance, angle_between_points, error_cm_to_px
from gaze.label_units import CM
from gaze.measures import Frames, Measure, by_person, mean, or_nan, quantile, root_mean, spread, worst_tenth
from gaze.screens.rows import PointRows, unit_of

AUC_CM = 5.0  # hits are counted up to this distance
ABOUT_CM = ("error_px", "error_diagonal", "error_deg", "error_deg_approximate", "hit_1cm", "hit_2cm", "auc_within")


def figures(rows: PointRows, unit: str = CM) -> dict[str, float]:
    """The figures of these rows; without those that they say nothing about, such as pixels of unknown screens.

    All figures, as NaN, if there are no rows. Names say the unit that the rows say, or `unit` if they say none.
    """
    return {m.name: m.figure() for m in measures(rows, unit) if m.n or not len(rows)}


def measures(rows: PointRows, unit: str = CM) -> list[Measure]:
    """What there is to say of the rows. Errors are distances in cm unless a name says px or deg.

    With labels in another unit, it stands in the names instead of cm, and what needs cm is left out (`ABOUT_CM`).

    ``error_cm`` mean, ``_median``, ``_p90``; ``rmse_cm``; ``error_x_cm``, ``error_y_cm`` of each axis; ``bias_x_cm``,
    ``bias_y_cm`` mean signed error; ``error_phone_cm`` and so on by kind of device; ``fixation_error_cm`` after averaging
    the predictions of a fixation, mean over fixations; ``jitter_cm`` their spread within it; ``error_px`` in
    pixels; ``error_diagonal`` as a fraction of the screen's diagonal; ``error_deg`` the angle seen from the
    eyes, where they are known, ``error_deg_approximate`` where only the distance is; ``subject_error_cm`` mean and
    ``_std`` over users of each one's mean, ``worst_tenth_cm`` that of the worst tenth of them; ``hit_1cm``, ``hit_2cm``
    fraction within; ``auc_within`` their mean over radii to 5 cm; ``quadrant_accuracy`` fraction in the
    right quarter of the screen; ``centre_error_cm`` what always guessing the screen's centre has.
    """
    unit = unit_of(rows, unit)
    off = rows.point - rows.truth
    error = off.norm(dim=-1)
    frames = Frames(rows.subject)
    fixations, jitter, whose = _fixations(rows)
    of_user, users = by_person(error, rows.subject)
    # What is left out depends on labels only: a failed prediction must not go away with its row.
    pixels = (rows.screen_px.isfinite() & rows.screen_cm.isfinite()).all(-1)
    sized, centred = rows.screen_cm.isfinite().all(-1), rows.centre.isfinite().all(-1)
    placed = rows.origin.isfinite().all(-1)
    ranged = ~placed & rows.distance_cm.isfinite()
    px = error_cm_to_px(off[pixels], rows.screen_px[pixels], rows.screen_cm[pixels])
    degrees = angle_between_points(rows.point[placed], rows.truth[placed], rows.origin[placed]).rad2deg()
    about = angle_at_distance(error[ranged], rows.distance_cm[ranged]).rad2deg()
    found = [
        frames.measure("error_cm", error),
        frames.measure("error_median_cm", error, reduce=quantile(0.5)),
        frames.measure("error_p90_cm", error, reduce=quantile(0.9)),
        frames.measure("rmse_cm", error.square(), reduce=root_mean),
        *(frames.measure(f"error_{axis}_cm", off[:, i].abs()) for i, axis in enumerate("xy")),
        *(frames.measure(f"bias_{axis}_cm", off[:, i]) for i, axis in enumerate("xy")),
        *_by_kind(frames, rows, error),
        Measure("fixation_error_cm", fixations, whose, mean),
        Measure("jitter_cm", jitter[jitter >= 0], whose[jitter >= 0], mean),
        frames.measure("error_px", px, pixels),
        frames.measure("error_diagonal", error[sized] / rows.screen_cm[sized].norm(dim=-1), sized),
        frames.measure("error_deg", degrees, placed),
        frames.measure("error_deg_approximate", about, ranged),
        Measure("subject_error_cm", of_user, users, mean),
        Measure("subject_error_std_cm", of_user, users, spread),
        Measure("worst_tenth_cm", of_user, users, worst_tenth),
        *(frames.measure(f"hit_{radius}cm", or_nan(error <= radius, error)) for radius in (1, 2)),
        frames.measure("auc_within", (1 - error / AUC_CM).clamp(min=0)),
        frames.measure("quadrant_accuracy", _quadrants(rows)[centred], centred),
        frames.measure("centre_error_cm", (rows.centre - rows.truth)[centred].norm(dim=-1), centred),
    ]
    return [m._replace(name=named(m.name, unit)) for m in found if unit == CM or m.name not in ABOUT_CM]


def named(name: str, unit: str) -> str:
    """The name of a figure whose labels are in a unit, by its name where they are in cm."""
    return name.replace(CM, unit)


# --- Values ------------------------------------------------------------------------------------


def _by_kind(frames: Frames, rows: PointRows, error: Tensor) -> Iterable[Measure]:
    for number, kind in enumerate(KINDS):
        mask = rows.kind == number
        yield frames.measure(f"error_{kind}_cm", error[mask], mask)


def _fixations(rows: PointRows) -> tuple[Float[Tensor, "f"], Float[Tensor, "f"], Int[Tensor, "f"]]:
    """Error of the mean prediction of each fixation, its jitter (-1 for a single frame), and whose it is."""
    known = rows.fixation >= 0
    numbers, which, counts = rows.fixation[known].unique(return_inverse=True, return_counts=True)

    def averaged(value: Tensor) -> Tensor:
        total = value.new_zeros(len(numbers), *value.shape[1:])
        return total.index_add_(0, which, value) / counts.reshape(-1, *[1] * (value.dim() - 1))

    point, truth = averaged(rows.point[known]), averaged(rows.truth[known])
    jitter = averaged((rows.point[known] - point[which]).square().sum(-1)).sqrt()
    whose = torch.zeros_like(numbers).scatter_(0, which, rows.subject[known])
    # A failed prediction (NaN) is no jitter of -1: it stays, and makes the figure NaN.
    return (point - truth).norm(dim=-1), torch.where(counts > 1, jitter, -1.0), whose


def _quadrants(rows: PointRows) -> Float[Tensor, "n"]:
    right = ((rows.point - rows.centre) >= 0) == ((rows.truth - rows.centre) >= 0)
    return or_nan(right.all(-1), rows.point.sum(-1))
