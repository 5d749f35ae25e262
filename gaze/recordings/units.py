"""Whether labels are where the screen is, and, if not, in which unit or frame they would be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Float

from gaze.geometry import screen_to_camera_plane
from gaze.recordings.columns import numbers

TOLERANCE_CM = 1.0  # labels may be that far off the screen
FIT = 0.95  # share of the labels that must be on the screen for a guess to be told
CLOSE_CM = 0.25  # to the screen, for that
LEAST = 10  # labels that a guess is made from
TINY = 0.05  # of the screen's sides: labels that are all so near each other are in a larger unit

Points = Float[np.ndarray, "n 2"]
Ranges = Float[np.ndarray, "n 4"]


def label_range(table: pa.Table) -> Ranges:
    """(x0, y0, x1, y1) of each row's screen in prediction space, cm; NaN where it isn't known."""
    size = torch.from_numpy(numbers(table, "screen_w_cm", "screen_h_cm"))
    size = torch.where(size > 0, size, torch.nan)
    offset = torch.from_numpy(numbers(table, "cam_to_screen_cm"))
    orientation = torch.from_numpy(numbers(table, "orientation")[:, 0]).nan_to_num(0).long()
    corners = [screen_to_camera_plane(corner, size, offset, orientation) for corner in (torch.zeros_like(size), size)]
    both = torch.stack(corners)
    return torch.cat([both.amin(0), both.amax(0)], dim=1).numpy()


def outside(point: Points, within: Ranges, tolerance_cm: float) -> Bool[np.ndarray, "n"]:
    """Which points are beyond their range; unknown ones aren't."""
    with np.errstate(invalid="ignore"):
        beyond = (point < within[:, :2] - tolerance_cm) | (point > within[:, 2:] + tolerance_cm)
    return np.asarray(beyond.any(1))


def likely_unit(table: pa.Table) -> str | None:
    """In which unit or frame labels that don't fit their screens would fit them; None where they do, or none fits.

    Of the units that fit, the one with the fewest per cm: labels in mm would pass for small ones in px.
    """
    point, within = numbers(table, "gaze_cam_cm"), label_range(table)
    known = np.isfinite(point).all(1) & np.isfinite(within).all(1)
    point, within, table = point[known], within[known], table.filter(pa.array(known))
    if len(point) < LEAST:
        return None
    if np.isclose(point, numbers(table, "gaze_screen_cm"), atol=1e-3).all():
        return "cm from the screen's top left, not from the camera; give them as gaze_screen_cm"
    if (~outside(point, within, TOLERANCE_CM)).mean() >= FIT and not _tiny(point, within):
        return None
    if _fits(point * 100, within) and len(np.unique(point, axis=0)) >= LEAST:
        return "m; multiply by 100"
    per_cm = {"mm; divide by 10": np.full_like(point, 10.0)}
    for unit in ("pt", "px"):
        size = numbers(table, f"screen_w_{unit}", f"screen_h_{unit}")
        per_cm[f"{unit}; divide by {unit} per cm"] = size / numbers(table, "screen_w_cm", "screen_h_cm")
    for unit, scale in per_cm.items():
        if _fits(point / scale, within):
            return unit
    if _fits(point * (1, -1), within):
        return "cm with y running down; y of gaze_cam_cm runs up"
    extent = np.concatenate([np.zeros((len(point), 2)), within[:, 2:] - within[:, :2]], axis=1)
    for unit, scale in {"cm": np.ones_like(point), **per_cm}.items():
        if _fits(point / scale, extent):
            return (
                f"{unit.split(';')[0]} from the screen's top left, not cm from the camera; give them as gaze_screen_..."
            )
    return None


def _fits(point: Points, within: Ranges) -> bool:
    """Are the points on their screens, and not all in one corner, where those of any large unit would be?"""
    near = (~outside(point, within, CLOSE_CM)).mean() >= FIT
    return bool(near and np.isfinite(point).all()) and not _tiny(point, within)


def _tiny(point: Points, within: Ranges) -> bool:
    size = (within[:, 2:] - within[:, :2]).mean(0)
    return bool((np.ptp(point, axis=0) < TINY * size).all())
