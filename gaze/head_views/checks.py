"""Which rows of a file of head views can't be used: numbers that are none, cameras that can't be, gaze beyond any eye."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gaze.datasets.faults import Fault

DO = "correct or remove the row"
OFF = 1e-2  # how far a rotation's R R^T may be from 1: files have been written in single precision, and rounded


def check_rows(
    path: str, arrays: Mapping[str, np.ndarray], keys: Mapping[str, str | None], gaze_limit_rad: float
) -> list[tuple[int, Fault]]:
    """Rows at fault, each with its first fault.

    Args:
        path: of the file.
        arrays: by the names of the layout, one row per view.
        keys: what the file calls them.
        gaze_limit_rad: the most pitch and yaw that eyes in a head can have.
    """
    found: dict[int, Fault] = {}

    def tell(name: str, wrong: Any, what: str, expected: str, do: str = DO) -> None:
        for row in np.flatnonzero(wrong).tolist():
            told = what.format(*np.atleast_1d(arrays[name][row]).reshape(-1)[:2].tolist()) if "{" in what else what
            found.setdefault(row, Fault(f"{path}#{row}", f"{keys[name]} {told}", expected, do))

    for name, values in arrays.items():
        finite = np.isfinite(values.reshape(len(values), -1)).all(1)
        tell(name, ~finite, "is not a number or infinite", "finite numbers")
    turn = np.nan_to_num(arrays["w2c_Rmat"], nan=0.0, posinf=0.0, neginf=0.0)
    off = np.abs(turn @ turn.swapaxes(1, 2) - np.eye(3)).max((1, 2))
    improper = (off > OFF) | (np.linalg.det(turn) < 0)
    tell("w2c_Rmat", improper, "is no rotation", "an orthogonal matrix of determinant 1")
    tell("scale", ~(arrays["scale"] > 0), "is {:g}", "a positive scale")
    focal = arrays["inmat"][:, (0, 1), (0, 1)]
    tell("inmat", ~(focal > 0).all(1), "has no positive focal length", "a camera matrix in pixels")
    gaze = np.abs(arrays["pitchyaw_head"])
    degrees = (gaze > np.pi).any(1)
    if degrees.any():
        do = "convert the file to radians"
        tell("pitchyaw_head", degrees, "is ({:.4g}, {:.4g}), which looks like degrees", "radians", do)
    limit = f"at most {gaze_limit_rad:g} rad up, down and aside, which eyes in a head can reach"
    do = "correct or remove the row, or raise gaze_limit_rad"
    tell("pitchyaw_head", (gaze > gaze_limit_rad).any(1), "is ({:.4g}, {:.4g}) rad", limit, do)
    return sorted(found.items())
