"""Every head of a split with its figures: what breakdowns, intervals and the table of heads are made from."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gaze.geometry import box_centres
from gaze.heatmaps import corner_peak, mean_annotation
from gaze.metrics.per_head import HeadFigure, HeadRanking
from gaze.types import Batch, ScenePrediction


@dataclass(frozen=True)
class HeadRecords:
    """n heads in the order of their data set, what is known of them, what was predicted, and how good that is."""

    index: Int[Tensor, "n"]  # sample of the data set
    head_bbox: Float[Tensor, "n 4"]
    target: Float[Tensor, "n 2"]  # the mean of the annotated points; NaN without
    inout: Float[Tensor, "n"]  # the label: 1, 0, or NaN, unknown
    image_size: Int[Tensor, "n 2"]  # (height, width), pixels
    point: Float[Tensor, "n 2"]  # predicted: the corner of the largest cell, as `min_l2` has it
    inout_logit: Float[Tensor, "n"] | None  # predicted
    figures: dict[str, HeadFigure | HeadRanking]

    @property
    def head(self) -> Int[Tensor, "n"]:
        """The number of each head in its picture, from 0. Those of a picture follow one another."""
        number = torch.arange(len(self.index))
        first = torch.ones(len(self.index), dtype=torch.bool)
        first[1:] = self.index[1:] != self.index[:-1]
        return number - torch.where(first, number, 0).cummax(0).values if len(number) else number

    @property
    def head_side(self) -> Float[Tensor, "n"]:
        """The square root of each head box's area, in fractions of the picture."""
        x0, y0, x1, y1 = self.head_bbox.unbind(-1)
        return ((x1 - x0) * (y1 - y0)).sqrt()

    @property
    def target_distance(self) -> Float[Tensor, "n"]:
        """From the centre of each head box to the mean annotation, in fractions of the picture; NaN without one."""
        return (self.target - box_centres(self.head_bbox)).norm(dim=-1)


class HeadRecorder:
    """Gathers `HeadRecords` batch by batch, on the device and without waiting for it."""

    def __init__(self) -> None:
        self._parts: list[HeadRecords] = []

    def add(self, batch: Batch, prediction: ScenePrediction, figures: Mapping[str, HeadFigure | HeadRanking]) -> None:
        """Note the heads of a batch of scenes."""
        targets = batch.targets
        part = HeadRecords(
            index=batch.index[batch.inputs.image_index],
            head_bbox=batch.inputs.head_bbox,
            target=mean_annotation(targets.points),
            inout=targets.inout,
            image_size=targets.image_size,
            point=corner_peak(prediction.heatmap),
            inout_logit=prediction.inout,
            figures=dict(figures),
        )
        self._parts.append(part)

    def records(self) -> HeadRecords:
        """All heads so far, on the CPU."""
        first = self._parts[0]

        def joined(name: str) -> Tensor:
            return torch.cat([getattr(part, name) for part in self._parts]).cpu()

        tensors = {name: joined(name) for name in ("index", "head_bbox", "target", "inout", "image_size", "point")}
        logit = None if first.inout_logit is None else joined("inout_logit")
        figures = {}
        for name, figure in first.figures.items():
            columns = zip(*(part.figures[name] for part in self._parts), strict=True)
            figures[name] = type(figure)(*(torch.cat(column).cpu() for column in columns))
        return replace(first, **tensors, inout_logit=logit, figures=figures)


def head_table(records: Mapping[str, HeadRecords], name: Callable[[int], str]) -> pa.Table:
    """One row for each model and head, for breakdowns of one's own.

    A figure is null for a head that it does not count, and NaN where the prediction failed.

    Args:
        records: of each model, by its name.
        name: what to call a sample of the data set.
    """
    return pa.concat_tables([_rows(model, r, name) for model, r in records.items()], promote_options="default")


def write_table(table: pa.Table, file: Path) -> None:
    """Write a Parquet file whole, or not at all."""
    aside = file.with_name(f".{file.name}.writing")
    pq.write_table(table, aside)
    os.replace(aside, file)


def _rows(model: str, records: HeadRecords, name: Callable[[int], str]) -> pa.Table:
    images, which = records.index.unique(return_inverse=True)
    columns: dict[str, pa.Array] = {
        "model": pa.array([model] * len(records.index), pa.string()),
        "image": pa.array([name(i) for i in images.tolist()], pa.string()).take(pa.array(which.numpy())),
        "index": pa.array(records.index.numpy()),
        "head": pa.array(records.head.numpy()),
    }
    for names, tensor in (
        (("image_height", "image_width"), records.image_size),
        (("head_x0", "head_y0", "head_x1", "head_y1"), records.head_bbox),
        (("target_x", "target_y"), records.target),
        (("predicted_x", "predicted_y"), records.point),
    ):
        columns |= {key: _column(values) for key, values in zip(names, tensor.unbind(-1), strict=True)}
    columns |= {"head_side": _column(records.head_side), "target_distance": _column(records.target_distance)}
    columns["inout"] = _column(records.inout)
    if records.inout_logit is not None:
        columns["inout_probability"] = pa.array(records.inout_logit.sigmoid().numpy())
    for key, figure in records.figures.items():
        if isinstance(figure, HeadFigure):
            columns[key] = pa.array(figure.value.numpy(), mask=~figure.counted.numpy())
    return pa.table(columns)


def _column(values: Tensor) -> pa.Array:
    """NaN, in what is known beforehand, means that there is nothing."""
    return pa.array(values.numpy(), mask=values.isnan().numpy() if values.is_floating_point() else None)
