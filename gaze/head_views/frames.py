"""Which frames of a person are trained on and which are kept for validation; all cameras of a frame stay together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from gaze.datasets.splits import draw


def frame_names(person: str, frame: Int[np.ndarray, "n"]) -> np.ndarray:
    """What each view's frame is called; a view without a number is a frame of its own."""
    return np.array(
        [f"{person}/{number}" if number >= 0 else f"{person}/view{i}" for i, number in enumerate(frame.tolist())]
    )


def held_out(person: str, frame: Int[np.ndarray, "n"], share: float) -> Bool[np.ndarray, "n"]:
    """Which views are of a share of the person's frames: one frame at least, and never all.

    By a hash of the frames' names, so that the same are held out whatever else is there.
    """
    return _drawn(frame_names(person, frame), share, "held")


def kept(person: str, frame: Int[np.ndarray, "n"], share: float) -> Bool[np.ndarray, "n"]:
    """Which views are of the frames that a training on a share of them sees; one frame at least."""
    names = frame_names(person, frame)
    return np.ones(len(names), bool) if share >= 1 else _drawn(names, share, "kept")


def _drawn(names: np.ndarray, share: float, salt: str) -> Bool[np.ndarray, "n"]:
    distinct = sorted(set(names.tolist()), key=lambda name: draw(f"{salt}/{name}"))
    count = min(max(round(share * len(distinct)), 1), max(len(distinct) - 1, 0))
    return np.isin(names, np.array(distinct[:count], dtype=names.dtype))
