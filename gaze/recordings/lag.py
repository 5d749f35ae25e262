"""Whether labels run ahead of their pictures, or behind: a simple predictor fits best where the two were recorded together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped

FOLDS = 5
LEAST = 60  # frames of a recording that allow a judgement
BETTER = 0.9  # of the error without a shift, that another must reach to be told
TELLS = 0.3  # share of the labels' variance that the predictor must explain there
RIDGE = 1e-2  # of the number of frames


@dataclass(frozen=True)
class Lag:
    """A recording whose labels fit its pictures better when they are moved."""

    recording: str
    frames: int  # the label of frame t fits the picture of frame t - frames
    error_cm: float  # of the predictor as recorded
    error_then_cm: float  # and with the labels moved

    def __str__(self) -> str:
        way = "late" if self.frames > 0 else "early"
        return (
            f"{self.recording}: labels seem {abs(self.frames)} frames {way}: moved, a linear predictor's error is "
            f"{self.error_then_cm:.2f} cm instead of {self.error_cm:.2f} cm; check how frames and labels were matched"
        )


def label_lag(
    recording: str, features: Float[np.ndarray, "n f"], point_cm: Float[np.ndarray, "n 2"], reach: int = 5
) -> Lag | None:
    """The shift of at most `reach` frames with which labels fit clearly better, if there is one.

    A ridge regression is fitted at each shift and judged on blocks of frames that it has not seen. All shifts
    are judged on the same pictures.

    Args:
        recording: its name.
        features: of the frames in the order of time; a frame with NaN is left out.
        point_cm: the labels.
        reach: frames that labels are moved at most, both ways.
    """
    count = len(features) - 2 * reach
    if count < LEAST:
        return None
    middle = features[reach : reach + count]
    # A frame whose label is unknown at any shift is left out at all, so that errors can be compared
    labels = {shift: point_cm[reach + shift : reach + shift + count] for shift in range(-reach, reach + 1)}
    known = np.isfinite(middle).all(1) & np.all([np.isfinite(label).all(1) for label in labels.values()], axis=0)
    if known.sum() < LEAST:
        return None
    errors = {shift: _error(middle[known], label[known]) for shift, label in labels.items()}
    best = min(errors, key=lambda shift: (errors[shift][0], abs(shift)))
    error, explained = errors[best]
    if best == 0 or error > BETTER * errors[0][0] or explained < TELLS:
        return None
    return Lag(recording, best, errors[0][0], error)


def _error(features: Float[np.ndarray, "n f"], point_cm: Float[np.ndarray, "n 2"]) -> tuple[float, float]:
    """Mean distance on unseen blocks, cm, and the share of the variance that is explained there."""
    fold = _folds(len(features))
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 1e-9, spread, 1)
    missed = np.empty_like(point_cm)
    for number in range(FOLDS):
        train, test = fold != number, fold == number
        mean = point_cm[train].mean(0)
        x, y = scaled[train], point_cm[train] - mean
        gram = x.T @ x + RIDGE * len(x) * np.eye(x.shape[1])
        missed[test] = scaled[test] @ np.linalg.solve(gram, x.T @ y) + mean - point_cm[test]
    variance = np.square(point_cm - point_cm.mean(0)).sum()
    explained = 1 - np.square(missed).sum() / max(variance, 1e-12)
    return float(np.linalg.norm(missed, axis=1).mean()), float(explained)


def _folds(count: int) -> Shaped[np.ndarray, "n"]:
    """Blocks of frames that follow each other: neighbours show the same dot, and would tell each other's label."""
    return np.arange(count) * FOLDS * 4 // count % FOLDS
