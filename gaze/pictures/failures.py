"""The heads that a model is furthest off for, each in its picture: what goes wrong, at a glance."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.head_records import HeadRecords
from gaze.metrics.per_head import HeadFigure
from gaze.pictures.samples import draw_prediction, picture_of
from gaze.pictures.scene import draw_scene
from gaze.pictures.sheet import sheet
from gaze.types import Batch, SceneInputs, ScenePrediction, SceneTargets, collate

RANKED_BY = "min_l2"


def worst(figure: HeadFigure, count: int) -> Int[Tensor, "m"]:
    """The heads that count and have the largest values: failed predictions (NaN) first, equals in their order."""
    heads = figure.counted.nonzero()[:, 0]
    value = figure.value[heads].nan_to_num(nan=math.inf)
    return heads[value.argsort(descending=True, stable=True)[:count]]


def failure_sheet(
    dataset: Dataset,
    records: HeadRecords,
    predict: Callable[[Batch[SceneInputs, SceneTargets]], ScenePrediction],
    count: int = 24,
    height: int = 240,
    columns: int = 6,
) -> UInt8[Tensor, "3 H W"] | None:
    """One sheet of the heads with the largest `min_l2`, worst first; None if no head counts.

    Each head is alone in its picture, with the predicted heatmap and point, and rings at the annotated points.

    Args:
        dataset: that the records are of.
        predict: a batch, on the CPU, to predictions; called once.
        height: of each picture, pixels.
    """
    figure = records.figures[RANKED_BY]
    assert isinstance(figure, HeadFigure)
    heads = worst(figure, count).tolist()
    if not heads:
        return None
    number, sharing = records.head, records.index.bincount()
    pictures = records.index[heads].unique().tolist()
    batch = collate([dataset[i] for i in pictures])
    prediction = predict(batch).map(lambda t: t.detach().float().cpu())
    start = torch.searchsorted(batch.inputs.image_index, torch.arange(len(pictures)))
    drawn, captions = [], []
    for head in heads:
        index = int(records.index[head])
        row = pictures.index(index)
        who = f"   person {int(number[head]) + 1}" if sharing[index] > 1 else ""
        value = float(figure.value[head])
        verdict = "no prediction: NaN" if math.isnan(value) else f"{RANKED_BY} {value:.3f}"
        captions.append(f"{dataset.name(index)}{who}   {verdict}")
        place = int(start[row] + number[head])
        here: ScenePrediction = prediction.map(lambda t, place=place: t[place : place + 1])  # type: ignore[misc]
        box, points = batch.inputs.head_bbox[place : place + 1], batch.targets.points[place : place + 1]
        picture = picture_of(dataset, index, batch, row, height)
        if here.heatmap.isnan().any():  # NaN has no colour and no place
            drawn.append(draw_scene(picture, box, true_points=points))
        else:
            drawn.append(draw_prediction(picture, box, here, points))
    title = f"the {len(heads)} worst of {int(figure.counted.sum())} heads     dot: predicted, ring: annotated"
    return sheet(drawn, captions, title, min(columns, len(heads)))
