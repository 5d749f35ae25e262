"""Views of heads beside what a model draws in their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gaze.datasets.dataset import Dataset
from gaze.head_regions import on_white
from gaze.pictures.sheet import fit, sheet
from gaze.types import Batch, FaceInputs, FacePrediction, FaceTargets, Record, collate


def head_sheet(
    dataset: Dataset,
    indices: Sequence[int],
    predict: Callable[[Batch], Record],
    title: str = "",
    height: int = 128,
) -> UInt8[Tensor, "3 H W"]:
    """One sheet with a row for each sample: its head on white, what is predicted, what of it is drawn before it is refined,
    and how much of each pixel is covered, white where all is. Columns that the model does not give are left out.

    Args:
        predict: a batch, on the CPU, to a `FacePrediction`; called once.
        height: of each picture, px.
    """
    batch: Batch[FaceInputs, FaceTargets] = collate([dataset[i] for i in indices])
    prediction = predict(batch)
    assert isinstance(prediction, FacePrediction)
    found = prediction.map(lambda t: t.detach().float().cpu())
    photograph = batch.targets.image.float() / (1 if batch.targets.image.is_floating_point() else 255)
    columns = {"photograph": on_white(photograph, batch.targets.head_mask), "predicted": found.image}
    if found.raw is not None:
        columns["raw"] = found.raw
    if found.alpha is not None:
        columns["covered"] = found.alpha[:, None].expand(-1, 3, -1, -1)
    error = (columns["predicted"] - columns["photograph"]).abs().mean((1, 2, 3))
    pictures, captions = [], []
    for row, index in enumerate(indices):
        notes = {"photograph": dataset.name(index), "predicted": f"predicted, off by {float(error[row]):.3f}"}
        for name, images in columns.items():
            pictures.append(fit(in_bytes(images[row]), height))
            captions.append(notes.get(name, name))
    return sheet(pictures, captions, title, len(columns))


def in_bytes(image: Float[Tensor, "3 H W"]) -> UInt8[Tensor, "3 H W"]:
    """A picture of values about [0, 1], for files; what is not finite is black."""
    return (image.nan_to_num(0.0, 0.0, 0.0).clamp(0, 1) * 255).round().to(torch.uint8)
