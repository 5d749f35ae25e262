"""Leaves out samples that look too far aside: some published figures are of frontal gaze only."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch

from gaze.faces.index import UNLABELLED, numbers, words
from gaze.geometry import vector_to_pitch_yaw

log = logging.getLogger(__name__)

Limit = float | Mapping[str, float | None] | None


def within(table: pa.Table, yaw_max_deg: Limit, pitch_max_deg: Limit) -> np.ndarray:
    """Which rows have gaze within both limits, are of other data sets, or have no labels.

    Args:
        yaw_max_deg, pitch_max_deg: for all, or by name of the data set; null: none.

    Raises:
        ValueError: a limit is of no data set that is there.
    """
    dataset = words(table, "dataset")
    angles = vector_to_pitch_yaw(torch.from_numpy(numbers(table, "gaze"))).abs().rad2deg().numpy()
    kept = np.ones(len(table), dtype=bool)
    for column, (key, limit) in enumerate((("pitch_max_deg", pitch_max_deg), ("yaw_max_deg", yaw_max_deg))):
        by_name = limit if isinstance(limit, Mapping) else dict.fromkeys(set(dataset.tolist()), limit)
        strange = sorted(set(by_name) - set(dataset.tolist()))
        if strange:
            raise ValueError(
                f"dataset.{key} names {', '.join(strange)}; expected {', '.join(sorted(set(dataset.tolist())))}"
            )
        for name, most in by_name.items():
            if most is not None:
                kept &= (dataset != name) | (angles[:, column] <= most) | (words(table, "split") == UNLABELLED)
    if not kept.all():
        log.info("%d of %d samples look beyond the limits and are left out", (~kept).sum(), len(kept))
    return kept
