"""Which frames belong to a clip: those of the same person and recording, around its centre."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int

from gaze.faces.index import UNUSED, people, words


def windows(
    table: pa.Table,
    part: np.ndarray,
    centres: Int[np.ndarray, "n"],
    length: int,
    step: int = 1,
    across: bool = False,
) -> tuple[Int[np.ndarray, "n t"], Bool[np.ndarray, "n t"]]:
    """Rows of the clips around some rows, and which of them exist: the nearest that does stands in for one that doesn't.

    Args:
        table: of all splits.
        part: the split of each row.
        centres: rows of one split. A frame whose number is unknown is a clip of its own.
        length: frames of a clip, odd.
        step: numbers from one frame to the next.
        across: take frames of other splits, too, and not only of the centre's own and of those that are in none.
    """
    offsets = (np.arange(length) - length // 2) * step
    frame = table["frame"].to_numpy(zero_copy_only=False).astype(np.int64)
    track = _tracks(table)
    room = int(frame.max(initial=0)) + 2 * abs(int(offsets[0])) + 2
    key = track * room + frame - offsets[0]
    allowed = np.isin(part, [*np.unique(part[centres]).tolist(), UNUSED]) if not across else np.ones(len(part), bool)
    context = np.flatnonzero(allowed & (frame >= 0))
    context = context[np.argsort(key[context], kind="stable")]
    sought = key[centres][:, None] + offsets
    at = np.searchsorted(key[context], sought).clip(max=max(len(context) - 1, 0))
    found = context[at] if len(context) else np.broadcast_to(centres[:, None], sought.shape).copy()
    present = (frame[centres] >= 0)[:, None] & (key[found] == sought)
    found[:, length // 2], present[:, length // 2] = centres, True
    distance = np.abs(np.arange(length)[:, None] - np.arange(length))  # from place to place
    nearest = np.where(present[:, None, :], distance, length + 1).argmin(2)  # of two as near, the earlier
    return np.take_along_axis(found, nearest, axis=1), present


def _tracks(table: pa.Table) -> Int[np.ndarray, "n"]:
    """A number for each person in each recording; a mirrored sample and its original are in two."""
    mirrored = table["mirrored"].to_numpy(zero_copy_only=False)
    names = people(table) + "\n" + words(table, "session") + np.where(mirrored, "\nmirrored", "").astype(object)
    return np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)
