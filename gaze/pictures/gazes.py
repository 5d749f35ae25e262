"""Samples of a data set of screens with the points that a model predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import UInt8
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.pictures.canvas import Box
from gaze.pictures.screens import screen_drawing
from gaze.pictures.sheet import fit, sheet
from gaze.types import Batch, Record, ScreenInputs, ScreenPrediction, ScreenTargets, collate

SHOWN = ("face", "right_eye", "left_eye")  # as they lie in the camera's picture


def gaze_sheet(
    dataset: Dataset,
    indices: Sequence[int],
    predict: Callable[[Batch], Record],
    title: str = "",
    height: int = 160,
    columns: int | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """One sheet of samples: the crops that the model sees, and its point beside the true one on a drawing of the screen.

    Screens are drawn as the camera sees their users: eyes turn to where the points are from the camera.

    Args:
        predict: a batch, on the CPU, to a `ScreenPrediction`; called once.
        height: of each crop, px; one sample is a line of them, at their own aspect.
    """
    batch: Batch[ScreenInputs, ScreenTargets] = collate([dataset[i] for i in indices])
    prediction = predict(batch)
    assert isinstance(prediction, ScreenPrediction)
    points = prediction.point.detach().float().cpu()
    targets = batch.targets
    screens = [_edges(targets, row) for row in range(len(indices))]
    reach = _reach(targets.point, screens)
    drawn, captions = [], []
    for row, index in enumerate(indices):
        crops = [getattr(batch.inputs, name) for name in SHOWN]
        line = [fit(crop[row], height) for crop in crops if crop is not None]
        truth, point = targets.point[row], points[row].clamp(-reach, reach)  # what is far off is drawn at the edge
        line.append(screen_drawing(height, reach, _pair(truth), screens[row], _pair(point)))
        drawn.append(torch.cat(line, 2))
        captions.append(f"{dataset.name(index)}   off by {float((points[row] - truth).norm()):.2f}")
    return sheet(drawn, captions, title, columns)


def _edges(targets: ScreenTargets, row: int) -> Box | None:
    """Left, upper, right and lower edge of the screen of a sample, cm from the camera; None where it is not known."""
    if targets.centre is None or targets.screen_cm is None:
        return None
    (x, y), (width, height) = targets.centre[row].tolist(), targets.screen_cm[row].tolist()
    edges = (x - width / 2, y + height / 2, x + width / 2, y - height / 2)
    return None if any(edge != edge for edge in edges) else edges


def _reach(points: Tensor, screens: Sequence[Box | None]) -> float:
    """How far the truth goes from the camera, and a margin."""
    furthest = [float(points.abs().max()), *(abs(edge) for screen in screens if screen for edge in screen)]
    return 1.1 * max(*furthest, 1e-3)


def _pair(point: Tensor) -> tuple[float, float]:
    return float(point[0]), float(point[1])
