"""Samples of a data set of faces with the gaze that a model predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import degrees

from jaxtyping import UInt8
from torch import Tensor

from gaze.concentration import quantile
from gaze.datasets.dataset import Dataset
from gaze.geometry import angular_error
from gaze.pictures.canvas import Canvas
from gaze.pictures.directions import GUESS, TRUTH, draw_direction
from gaze.pictures.sheet import fit, sheet
from gaze.types import Batch, DirectionInputs, DirectionPrediction, DirectionTargets, Record, collate

SURE = 0.9  # share of directions in a cone
LENGTH = 0.45  # of an arrow in the picture's plane, of the face's height


def direction_sheet(
    dataset: Dataset,
    indices: Sequence[int],
    predict: Callable[[Batch], Record],
    title: str = "",
    height: int = 160,
    columns: int | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """One sheet of faces with arrows along the true gaze and the predicted, the latter in its cone of 90 %, if it has one.

    Args:
        predict: a batch, on the CPU, to a `DirectionPrediction`; called once.
        height: of each face, px; of a clip the centre frame is shown.
    """
    batch: Batch[DirectionInputs, DirectionTargets] = collate([dataset[i] for i in indices])
    prediction = predict(batch)
    assert isinstance(prediction, DirectionPrediction)
    found = prediction.map(lambda t: t.detach().float().cpu())
    off = angular_error(found.gaze, batch.targets.gaze)
    drawn, captions = [], []
    for row, index in enumerate(indices):
        face = batch.inputs.face[row]
        canvas = Canvas(fit(face[face.shape[0] // 2] if face.dim() == 4 else face, height))
        middle = (canvas.pixels.shape[2] / 2, canvas.pixels.shape[1] / 2)
        sure = None if found.concentration is None else float(quantile(found.concentration[row], SURE))
        draw_direction(canvas, middle, found.gaze[row], LENGTH * height, GUESS, cone_rad=sure)
        draw_direction(canvas, middle, batch.targets.gaze[row], LENGTH * height, TRUTH)
        drawn.append(canvas.pixels)
        captions.append(f"{dataset.name(index)}   off by {degrees(float(off[row])):.1f}°")
    return sheet(drawn, captions, title, columns)
