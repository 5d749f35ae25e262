"""How predictions move from frame to frame of a video: how restlessly, and how late."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from gaze.directions.rows import DirectionRows
from gaze.geometry import angular_error
from gaze.measures import Measure, mean

LEAST = 16  # frames of a stretch
REACH = 5  # frames that predictions may be late, or early
SMOOTH = 0.5  # of the angle between frames far apart, that the true gaze of neighbours is within in a video


def motion_measures(rows: DirectionRows) -> list[Measure]:
    """What can be said where frames follow each other; of nothing where they don't.

    ``jitter_deg_per_frame``: mean angular speed of the prediction minus that of the truth, degrees in each frame.
    ``lag_frames``: by how many frames the prediction comes late, by the largest correlation of its course with the true
    one; of a stretch in which it does not move, nothing.
    """
    jitter, lag, owner, late = list[Tensor](), list[Tensor](), list[Tensor](), list[Tensor]()
    for stretch, place, gap in stretches(rows):
        gaze, truth, subject = F.normalize(rows.gaze[stretch], dim=-1), rows.truth[stretch], rows.subject[stretch]
        next_to = place.diff() == 1
        jitter.append((_steps(gaze) - _steps(truth))[next_to].rad2deg() / gap)
        owner.append(subject[1:][next_to])
        if gaze.isnan().any() or not (gaze == gaze[0]).all():
            lag.append(lag_of(gaze, truth, place) * gap)
            late.append(subject[0])
    nothing = rows.gaze.new_zeros(0)
    return [
        Measure("jitter_deg_per_frame", torch.cat([nothing, *jitter]), torch.cat([rows.subject[:0], *owner]), mean),
        Measure(
            "lag_frames",
            torch.stack(lag) if lag else nothing,
            torch.stack(late) if late else rows.subject[:0],
            mean,
        ),
    ]


def stretches(rows: DirectionRows) -> Iterator[tuple[Int[Tensor, "m"], Int[Tensor, "m"], float]]:
    """The samples of each video in order, as long as few frames are missing; their places, and frames between places.

    A session whose true gaze jumps from one sample to the next is no video: photographs have numbers, too.
    """
    session, frame = rows.moment.unbind(-1)
    found = rows.moment.isfinite().all(-1).nonzero()[:, 0]
    for column in (frame, session, rows.subject):  # of runs that left people out in turn, sessions share numbers
        found = found[column[found].argsort(stable=True)]
    keys = torch.stack([rows.subject[found].to(session), session[found]], 1)
    _, lengths = keys.unique_consecutive(dim=0, return_counts=True)
    for samples in found.split(lengths.tolist()):
        gaps = frame[samples].diff()
        if not (gaps > 0).any():
            continue
        gap = gaps[gaps > 0].min()
        breaks = ((gaps > REACH * gap) | (gaps % gap != 0) | (gaps == 0)).nonzero()[:, 0] + 1
        for stretch in samples.tensor_split(breaks):
            place = ((frame[stretch] - frame[stretch[:1]]) / gap).long()
            if len(stretch) >= LEAST and _smooth(rows.truth[stretch]):
                yield stretch, place, float(gap)


def lag_of(gaze: Float[Tensor, "m 3"], truth: Float[Tensor, "m 3"], place: Int[Tensor, "m"]) -> Float[Tensor, ""]:
    """By how many places one course follows the other, at most `REACH`; between places by a parabola."""
    found = torch.stack([_alike(gaze, truth, place, shift) for shift in range(-REACH, REACH + 1)])
    if gaze.isnan().any():
        return found.new_tensor(torch.nan)
    best = int(found.argmax())
    if best in (0, len(found) - 1):
        return found.new_tensor(float(best - REACH))
    before, at, after = found[best - 1 : best + 2]
    return best - REACH + (before - after) / (2 * (before - 2 * at + after)).clamp(max=-1e-12)


def _alike(
    gaze: Float[Tensor, "m 3"], truth: Float[Tensor, "m 3"], place: Int[Tensor, "m"], shift: int
) -> Float[Tensor, ""]:
    """The correlation of the prediction with the truth `shift` places before it, where both are there."""
    wanted = place - shift
    theirs = torch.searchsorted(place, wanted).clamp(max=len(place) - 1)
    there = place[theirs] == wanted
    ours, theirs = there.nonzero()[:, 0], theirs[there]
    if len(ours) < LEAST // 2:
        return gaze.new_tensor(-1.0)
    one, other = gaze[ours] - gaze[ours].mean(0), truth[theirs] - truth[theirs].mean(0)
    return (one * other).sum() / (one.square().sum() * other.square().sum()).sqrt().clamp(min=1e-30)


def _steps(gaze: Float[Tensor, "m 3"]) -> Float[Tensor, "m-1"]:
    return angular_error(gaze[1:], gaze[:-1])


def _smooth(truth: Float[Tensor, "m 3"]) -> bool:
    apart = angular_error(truth, truth.roll(len(truth) // 2, 0)).mean()
    return bool(_steps(truth).mean() < SMOOTH * apart)
