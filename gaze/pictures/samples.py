"""Samples of a scene data set with what a model predicts for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.heatmaps import subcell_peak
from gaze.pictures.scene import draw_scene
from gaze.pictures.sheet import fit, sheet
from gaze.types import Batch, SceneInputs, ScenePrediction, SceneTargets, collate


@runtime_checkable
class Pictured(Protocol):
    """A data set that can show a sample as it is in its file, larger than what the model sees."""

    def picture(self, index: int) -> UInt8[Tensor, "3 H W"]:
        """The picture that fractions of sample `index`, as it is evaluated, refer to."""
        ...


def scene_sheet(
    dataset: Dataset,
    indices: Sequence[int],
    predict: Callable[[Batch[SceneInputs, SceneTargets]], ScenePrediction],
    title: str = "",
    height: int = 320,
    columns: int | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """One sheet of samples: heads, predicted heatmaps and points, and rings where annotators say people look.

    Args:
        dataset: of scenes; if it is `Pictured`, its pictures are shown, else the samples, enlarged.
        predict: a batch, on the CPU, to predictions; called once.
        height: of each picture, pixels; the width follows from the original's aspect.
    """
    batch = collate([dataset[i] for i in indices])
    prediction = predict(batch).map(lambda t: t.detach().float().cpu())
    missed = miss(prediction, batch.targets)
    drawn, captions = [], []
    for row, i in enumerate(indices):
        mine = batch.inputs.image_index == row
        here: ScenePrediction = prediction.map(lambda t, mine=mine: t[mine])  # type: ignore[misc]
        picture = picture_of(dataset, i, batch, row, height)
        drawn.append(draw_prediction(picture, batch.inputs.head_bbox[mine], here, batch.targets.points[mine]))
        errors = missed[mine][missed[mine].isfinite()]
        captions.append(f"{dataset.name(i)}   off by {float(errors.mean()):.3f}" if len(errors) else dataset.name(i))
    return sheet(drawn, captions, title, columns)


def draw_prediction(
    picture: UInt8[Tensor, "3 H W"],
    head_bbox: Float[Tensor, "n 4"],
    prediction: ScenePrediction,
    true_points: Float[Tensor, "n a 2"] | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """A picture, at its own size, with what is predicted for the n people in it; fractions of it, on the CPU."""
    return draw_scene(
        picture,
        head_bbox,
        prediction.heatmap.sigmoid(),
        subcell_peak(prediction.heatmap),
        true_points,
        None if prediction.inout is None else prediction.inout.sigmoid(),
    )


def miss(prediction: ScenePrediction, targets: SceneTargets) -> Float[Tensor, "n"]:
    """How far each predicted point is from the nearest annotation, in image sides; NaN where there is none."""
    apart = (subcell_peak(prediction.heatmap)[:, None] - targets.points).norm(dim=-1)
    nearest = apart.nan_to_num(torch.inf).amin(-1)  # an annotation that is missing is never the nearest
    return torch.where(nearest.isfinite(), nearest, torch.nan)


def spread(samples: int, count: int) -> list[int]:
    """`count` of the indices below `samples`, evenly spaced: always the same, from everywhere in the split."""
    count = min(count, samples)
    return [round(i * (samples - 1) / max(count - 1, 1)) for i in range(count)]


def picture_of(
    dataset: Dataset, index: int, batch: Batch[SceneInputs, SceneTargets], row: int, height: int
) -> UInt8[Tensor, "3 h w"]:
    """The picture of sample `index`, which is number `row` of a batch, at a height in pixels and with its true aspect."""
    if isinstance(dataset, Pictured):
        return fit(dataset.picture(index), height)
    sizes = batch.targets.image_size[batch.inputs.image_index == row]
    aspect = float(sizes[0, 1] / sizes[0, 0]) if len(sizes) else None  # samples do not keep the original's
    return fit(batch.inputs.image[row], height, aspect)
