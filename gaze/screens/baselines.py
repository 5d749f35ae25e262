"""What a point-of-gaze model must beat: guesses that never look at an eye."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from gaze.datasets.screen_labels import ScreenLabels

# What each baseline is told: why a model that looks at eyes can be better.
SEES = {
    "train mean": "nothing",
    "screen centre": "the device and how it is held",
    "linear on boxes": "where face and eyes are in the frame",
}
RIDGE = 1.0  # on standardised boxes: keeps collinear ones (two eyes move together) from exploding


def baseline_points(train: ScreenLabels, test: ScreenLabels) -> dict[str, Float[Tensor, "n 2"]]:
    """The guesses of each baseline for the test split, cm; NaN where the labels don't allow one."""
    centre = test.centre.double()
    guesses = (train.point.double().mean(0).expand(len(test), 2), centre, linear_on_boxes(train, test))
    return dict(zip(SEES, guesses, strict=True))


def linear_on_boxes(train: ScreenLabels, test: ScreenLabels) -> Float[Tensor, "n 2"]:
    """Ridge regression of the point on the twelve numbers of the boxes.

    A number that is unknown counts as its mean; without any box the guess is the mean point.
    """
    known = train.geometry.isfinite()
    boxes = train.geometry.double()
    middle = boxes.nanmean(0).nan_to_num()
    spread = (boxes - middle).square().nanmean(0).sqrt().nan_to_num()
    used = known.any(0) & (spread > 1e-9)

    def design(labels: ScreenLabels) -> Float[Tensor, "m k"]:
        return ((labels.geometry.double() - middle) / spread)[:, used].nan_to_num(nan=0.0)

    mean = train.point.double().mean(0)
    seen = design(train)
    penalty = RIDGE * torch.eye(seen.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(seen.T @ seen + penalty, seen.T @ (train.point.double() - mean))
    return mean + design(test) @ weights
