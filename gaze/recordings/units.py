"""Whether labels are where the screen is, and, if not, in which unit or frame they would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float

from gaze.geometry import screen_to_camera_plane
from gaze.recordings.columns import numbers, words

AGREE_CM = 1e-3  # between a label on the screen and the same label from the camera
TOLERANCE_CM = 1.0  # labels may be that far off the screen
FIT = 0.95  # share of the labels that must be on the screen for a guess to be told
CLOSE_CM = 0.25  # to the screen, for that
LEAST = 10  # labels that a guess is made from
TINY = 0.05  # of the screen's sides: labels that are all so near each other are in a larger unit
CORNER = 0.55  # of the screen's sides: labels on the screen that reach no further may be in a larger unit, too
WIDE = 0.6  # of the screen's sides that they must then reach in that unit
UNMOVED = (
    "cm from the screen's top left, not from the camera; give them as gaze_screen_cm, from which gaze_cam_cm follows"
)
LENGTHS_CM = {"mm": 0.1, "inches": 2.54, "m": 100.0}  # one of each in cm

Points = Float[np.ndarray, "n 2"]
Ranges = Float[np.ndarray, "n 4"]


def label_range(table: pa.Table) -> Ranges:
    """(x0, y0, x1, y1) of each row's screen in prediction space, cm; NaN where it isn't known."""
    size = numbers(table, "screen_w_cm", "screen_h_cm")
    size[size <= 0] = np.nan
    both = np.stack([on_plane(table, corner, size) for corner in (np.zeros_like(size), size)])
    return np.concatenate([both.min(0), both.max(0)], axis=1)


def on_plane(table: pa.Table, screen_cm: Points, size_cm: Points | None = None) -> Points:
    """Points from the top left of each row's screen in prediction space, cm; NaN where too little is known."""
    size = numbers(table, "screen_w_cm", "screen_h_cm") if size_cm is None else size_cm
    point, size_of, offset = map(torch.from_numpy, (screen_cm, size, numbers(table, "cam_to_screen_cm")))
    held = torch.from_numpy(np.nan_to_num(numbers(table, "orientation")[:, 0])).long()
    return screen_to_camera_plane(point, size_of, offset, held).numpy()


def outside(point: Points, within: Ranges, tolerance_cm: float) -> Bool[np.ndarray, "n"]:
    """Which points are beyond their range; unknown ones aren't."""
    with np.errstate(invalid="ignore"):
        beyond = (point < within[:, :2] - tolerance_cm) | (point > within[:, 2:] + tolerance_cm)
    return np.asarray(beyond.any(1))


def likely_units(table: pa.Table) -> dict[str, str]:
    """For each recording whose labels don't fit their screens, the unit or frame in which they would, if any does.

    Of the units that fit, the one in which labels reach furthest: those in mm would pass for small ones in px. What to
    do follows after a semicolon. Labels that are on the screen, but all in one corner of it, are told as well where
    another unit spreads them: px that are really mm are nowhere else.
    """
    names = words(table, "recording").astype(str)
    point, within = numbers(table, "gaze_cam_cm"), label_range(table)
    known = np.isfinite(point).all(1) & np.isfinite(within).all(1)
    size = {unit: numbers(table, f"screen_w_{unit}", f"screen_h_{unit}") for unit in ("cm", "px", "pt")}
    screen = numbers(table, "gaze_screen_cm")
    same = np.isclose(point, screen, atol=AGREE_CM).all(1)
    with np.errstate(invalid="ignore"):  # another point than gaze_cam_cm says nothing about its unit
        screen[~(np.abs(on_plane(table, screen) - point) < AGREE_CM * (1 + np.abs(point))).all(1)] = np.nan
    labels = _Labels(point, screen, within, size["cm"], size["px"], size["pt"])
    order = np.flatnonzero(known)[np.argsort(names[known], kind="stable")]
    recordings, starts = np.unique(names[order], return_index=True)
    found: dict[str, str] = {}
    for name, start, end in zip(recordings.tolist(), starts, np.append(starts[1:], len(order)), strict=False):
        rows = order[start:end]
        if len(rows) >= LEAST:
            unit = UNMOVED if same[rows].all() else _unit(labels.at(rows))
            found |= {name: unit} if unit else {}
    return found


@dataclass(frozen=True)
class _Labels:
    """Labels whose screens are known; NaN where pixels or points aren't."""

    camera: Points  # gaze_cam_cm
    screen: Points  # gaze_screen_cm
    within: Ranges
    cm: Points  # sizes of the screens
    px: Points
    pt: Points

    def at(self, rows: np.ndarray) -> _Labels:
        return _Labels(*(value[rows] for value in vars(self).values()))


def _unit(labels: _Labels) -> str | None:
    least = TINY
    if (~outside(labels.camera, labels.within, TOLERANCE_CM)).mean() >= FIT:
        if _reach(labels.camera, labels.within) > CORNER or len(np.unique(labels.camera, axis=0)) < LEAST:
            return None
        least = WIDE
    best, unit = least, None
    for name, point, within in _readings(labels):
        # Beyond 1 all are alike: some labels may be a little off the screen
        reach = min(_reach(point, within), 1.0) if _fits(point, within) else 0.0
        if reach > best + 1e-9:
            best, unit = reach, name
    return unit


def _readings(labels: _Labels) -> Iterator[tuple[str, Points, Ranges]]:
    """What labels may mean, as points in cm and where those should be; the most likely first."""
    one = np.ones_like(labels.cm)
    with np.errstate(divide="ignore", invalid="ignore"):
        dots = {unit: labels.cm / getattr(labels, unit) for unit in ("pt", "px")}
    units = {unit: scale * one for unit, scale in LENGTHS_CM.items()} | dots
    how = {"mm": "divide by 10", "inches": "multiply by 2.54", "m": "multiply by 100"}
    for unit, scale in units.items():
        do = how.get(unit, f"divide by {unit} per cm")
        yield f"{unit}, not cm; {do}", labels.camera * scale, labels.within
    yield "cm with y running down; change its sign: y of gaze_cam_cm runs up", labels.camera * (1, -1), labels.within
    corner = "from the screen's top left"
    do = "give them as gaze_cam_cm (recording.unit=cm_camera of a CSV file)"
    yield f"cm from the camera, read as {corner}; {do}", labels.screen, labels.within
    extent = np.concatenate([0 * one, labels.cm], axis=1)
    do = "give them as gaze_screen_px or gaze_screen_cm, from which gaze_cam_cm follows"
    for unit, scale in ({"cm": one} | units).items():
        yield f"{unit} {corner}, not cm from the camera; {do}", labels.camera * scale, extent
    units["fractions of the screen"] = labels.cm
    do = "say in which unit they are (recording.unit of a CSV file), or convert them"
    for read, point in (("cm", labels.screen), ("px", labels.screen / dots["px"])):
        for unit, scale in ({"cm": one} | units).items():
            if unit != read:
                yield f"{unit} {corner}, read as {read}; {do}", point * scale, extent


def _fits(point: Points, within: Ranges) -> bool:
    """Are the points on their screens?"""
    return bool(np.isfinite(point).all() and (~outside(point, within, CLOSE_CM)).mean() >= FIT)


def _reach(point: Points, within: Ranges) -> float:
    """The share of its screen's narrower extent over which labels are spread; each is placed on its own screen."""
    return float(np.ptp((point - within[:, :2]) / (within[:, 2:] - within[:, :2]), axis=0).min())
