"""Checks of labels that need no model: lengths, units, two labels of one sample, sides, heads and medians."""

from __future__ import annotations

import itertools
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.audit.evidence import Evidence, spread_rows
from gaze.audit.verdicts import DOUBT, FITS, UNKNOWN, WRONG, Verdict
from gaze.gaze_frames import AngleFrame, VectorFrame
from gaze.geometry import angular_error, vector_to_pitch_yaw

UNIT = 1e-3  # of a length, how far it may be from 1
AGREE_DEG = 0.01  # between two labels of one sample
FEW, STILL_DEG = 30, 1.0  # samples, and spread of heads, below which a correlation says nothing
RELATED = 0.3  # correlation of gaze and head yaw that data sets have at least; 4.5.3 of the reference
LEVEL_DEG = 2.0  # of a median pitch: as good as none
WIDER = 1.2  # times as wide as yaw: people look farther to the sides than up and down
ENOUGH = 2000  # samples that tell which frames agree
SIGNS = (1, -1)
VECTOR_FRAMES = [
    VectorFrame((first, second, third), (x, y, z))
    for first, second, third in itertools.permutations(range(3))
    for x, y, z in itertools.product(SIGNS, repeat=3)
]
ANGLE_FRAMES = [
    AngleFrame(first, (pitch, yaw), degrees)
    for degrees, first in itertools.product((False, True), repeat=2)
    for pitch, yaw in itertools.product(SIGNS, repeat=2)
]


def check_all(evidence: Evidence) -> list[Verdict]:
    """The verdicts of all checks of this module."""
    checks = (check_lengths, check_units, check_agreement, check_side, check_heads, check_medians)
    return [check(evidence) for check in checks]


def check_lengths(evidence: Evidence) -> Verdict:
    """Are they directions: finite vectors, all of length 1?"""
    length = evidence.gaze.norm(dim=-1)
    bad = ~length.isfinite() | (length < UNIT)
    off = ~bad & ((length - 1).abs() > UNIT)
    figures = {"no_direction": float(bad.double().mean()), "not_unit": float(off.double().mean())}
    if bad.any():
        do = "correct or remove the rows; never replace NaN by a number"
        return Verdict("lengths", WRONG, f"{int(bad.sum()):,} of {len(bad):,} have no direction", do, figures)
    if off.any():
        low, high = float(length.min()), float(length.max())
        found = f"{int(off.sum()):,} of {len(off):,} are not of length 1, but of {low:.3g} to {high:.3g}"
        return Verdict("lengths", DOUBT, found, "normalise them, if they are directions and not targets", figures)
    return Verdict("lengths", FITS, f"all {len(length):,} are unit vectors", figures=figures)


def check_units(evidence: Evidence) -> Verdict:
    """Are stored angles radians, and pitch where it is said to be?"""
    turned = float(evidence.head.abs().nan_to_num(0.0).amax()) if len(evidence) else 0.0
    if turned > 1.001 * pi:
        figures = {"largest_head": turned}
        return Verdict(
            "units", WRONG, f"an angle of a head is {turned:.4g} radians", "convert them from degrees", figures
        )
    if evidence.angles is None:
        return Verdict("units", UNKNOWN, "no angles are stored")
    kind = evidence.kind.angles
    largest = evidence.angles.abs().nan_to_num(0.0).amax(0)
    at = 1 if kind.yaw_first else 0
    figures = {"largest_pitch": float(largest[at]), "largest_yaw": float(largest[1 - at])}
    unit = 180 / pi if kind.degrees else 1.0
    if (largest > 1.001 * pi * unit).any():
        do = "the numbers are degrees: convert them" if largest.max() <= 361 else "look at the columns"
        return Verdict("units", WRONG, f"an angle is {float(largest.max()):.4g}, read as {kind}", do, figures)
    if largest[at] > 1.001 * pi / 2 * unit:
        do = "swap pitch and yaw"
        return Verdict("units", WRONG, f"a pitch is {float(largest[at]):.4g}, read as {kind}", do, figures)
    if kind.degrees and largest.max() < pi:
        do = "the numbers look like radians"
        return Verdict("units", DOUBT, f"no angle is larger than {float(largest.max()):.3g} degrees", do, figures)
    return Verdict("units", FITS, f"angles fit {kind}", figures=figures)


def check_agreement(evidence: Evidence) -> Verdict:
    """Do vectors and angles of the same sample say the same?"""
    if evidence.vectors is None or evidence.angles is None:
        return Verdict("vectors against angles", UNKNOWN, "only one of them is stored")
    rows = spread_rows(len(evidence), ENOUGH)
    vectors, angles, kind = evidence.vectors[rows], evidence.angles[rows], evidence.kind
    gaze = kind.vector.gaze(vectors)
    apart = _apart(gaze, kind.angles.gaze(angles))
    figures = {"mean_deg": apart}
    if apart <= AGREE_DEG:
        found = f"vectors {kind.vector} and angles {kind.angles} agree to {apart:.2g} degrees"
        return Verdict("vectors against angles", FITS, found, figures=figures)
    found = f"vectors {kind.vector} and angles {kind.angles} are {apart:.3g} degrees apart"
    fits = [f"angles are {frame}" for frame in ANGLE_FRAMES if _apart(gaze, frame.gaze(angles)) <= AGREE_DEG]
    told = kind.angles.gaze(angles)
    fits += [f"vectors are {frame}" for frame in VECTOR_FRAMES if _apart(frame.gaze(vectors), told) <= AGREE_DEG]
    do = (
        f"they agree if {' or if '.join(fits)}" if fits else "no order, sign or unit makes them agree: look at the rows"
    )
    return Verdict("vectors against angles", WRONG, found, do, figures)


def check_side(evidence: Evidence) -> Verdict:
    """Do people look to the camera's side?"""
    share = float((evidence.gaze[:, 2] < 0).double().mean())
    figures = {"toward_camera": share}
    found = f"{share:.1%} look to the camera's side (z < 0)"
    if share < 0.5:
        do = "these look like antipodes, or z is toward the camera: negate them, or z"
        return Verdict("sides", WRONG, found, do, figures)
    if evidence.kind.frontal and share < 0.99:
        do = f"at least 99 % do in {evidence.name}: look at the others"
        return Verdict("sides", WRONG, found, do, figures)
    return Verdict("sides", FITS, found, figures=figures)


def check_heads(evidence: Evidence) -> Verdict:
    """Do eyes follow heads?"""
    gaze, head = vector_to_pitch_yaw(evidence.gaze), evidence.head
    used = head.isfinite().all(-1) & gaze.isfinite().all(-1) & (evidence.gaze[:, 2] < 0)
    still = used.sum() < FEW or (head[used].std(0).rad2deg() < STILL_DEG).any()
    if still or (gaze[used].std(0).rad2deg() < STILL_DEG).any():
        return Verdict("heads", UNKNOWN, f"{int(used.sum()):,} poses of heads are known, too few or too much alike")
    (pitch, yaw), (head_pitch, head_yaw) = gaze[used].unbind(-1), head[used].unbind(-1)
    same = correlation(pitch, head_pitch), correlation(yaw, head_yaw)
    crossed = correlation(pitch, head_yaw), correlation(yaw, head_pitch)
    figures = {"pitch": same[0], "yaw": same[1], "pitch_head_yaw": crossed[0], "yaw_head_pitch": crossed[1]}
    found = f"gaze and head correlate by {same[0]:.2f} in pitch and {same[1]:.2f} in yaw"
    if sum(map(abs, crossed)) > sum(map(abs, same)) + 0.2 and max(map(abs, crossed)) > RELATED:
        found += f", but pitch with the head's yaw by {crossed[0]:.2f} and yaw with its pitch by {crossed[1]:.2f}"
        return Verdict("heads", WRONG, found, "swap pitch and yaw of one of them", figures)
    if min(same) < -RELATED:
        what = " and ".join(name for name, r in zip(("pitch", "yaw"), same, strict=True) if r < -RELATED)
        do = f"{what} of one of them has the wrong sign: see the pictures for which, or give run=..."
        return Verdict("heads", WRONG, found, do, figures)
    if same[1] <= RELATED or same[0] <= 0:
        do = f"expected more than 0 and {RELATED}; look at the pictures"
        return Verdict("heads", DOUBT, found, do, figures)
    return Verdict("heads", FITS, found, figures=figures)


def check_medians(evidence: Evidence) -> Verdict:
    """Where do people look, and how widely?"""
    angles = vector_to_pitch_yaw(evidence.gaze[evidence.gaze.isfinite().all(-1)]).rad2deg()
    pitch, yaw = angles.median(0).values.tolist()
    wide_pitch, wide_yaw = angles.std(0).tolist() if len(angles) > 1 else (0.0, 0.0)
    figures = {"pitch": pitch, "yaw": yaw, "spread_pitch": wide_pitch, "spread_yaw": wide_yaw}
    found = f"pitch {pitch:+.1f} +- {wide_pitch:.1f}, yaw {yaw:+.1f} +- {wide_yaw:.1f} degrees (medians, deviations)"
    if evidence.kind.below and pitch >= 0:
        do = f"people of {evidence.name} look below the camera: "
        if pitch > LEVEL_DEG:
            return Verdict("medians", WRONG, found, do + "negate pitch", figures)
        return Verdict("medians", DOUBT, found, do + "are these others?", figures)
    if wide_pitch > WIDER * wide_yaw and wide_pitch > STILL_DEG:
        return Verdict("medians", DOUBT, found, "people look farther to the sides than up and down: swapped?", figures)
    return Verdict("medians", FITS, found, figures=figures)


def correlation(a: Float[Tensor, "n"], b: Float[Tensor, "n"]) -> float:
    """Pearson's; NaN where one of them is constant."""
    return float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1])


def _apart(a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"]) -> float:
    return float(angular_error(a, b).mean().rad2deg())
