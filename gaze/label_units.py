"""The units that labels of the point of gaze come in: cm, unless nobody knows how large the screen was."""

from __future__ import annotations

CM = "cm"
HALF_WINDOWS = "half_windows"  # from -1 to 1 across a window, y up, with (0, 0) in its middle
UNITS = (CM, HALF_WINDOWS)  # the rows of which `ScreenTargets.unit` are numbers


def words(unit: str) -> str:
    """The unit as a person reads it."""
    return unit.replace("_", " ")
