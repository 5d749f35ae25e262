"""The frames of every person, from a table of predictions or from a model and its data."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import torch
from jaxtyping import Bool, Float
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from gaze.calibration.dots import CalibrationError, Frames
from gaze.datasets.dataset import Dataset
from gaze.evaluation import on_batches
from gaze.hardware import Hardware
from gaze.loading import release
from gaze.screens.evaluation import about_screens
from gaze.screens.rows import PointRows, joined, rows_of
from gaze.screens.table import prediction_table, rows_in


class Predictions(NamedTuple):
    """All frames of all people: the table of an evaluation, the features if there is a model, and what dots are for."""

    table: pa.Table
    features: Float[Tensor, "n f"] | None = None
    calibration: Bool[Tensor, "n"] | None = None  # is the frame of a dot meant for calibration?


def predict_with_features(
    model: nn.Module, data: Dataset, hardware: Hardware, batch_size: int = 64, amp: bool = False
) -> Predictions:
    """What a model says of a split of a screen data set.

    Raises:
        CalibrationError: the data set is none of screens.
    """
    if not about_screens(data):
        raise CalibrationError("the data set holds no frames of somebody who looks at a screen; nothing to calibrate")
    predict = on_batches(model.to(hardware.device), hardware, amp)
    loader = hardware.loader(data, batch_size=batch_size)
    rows, features = list[PointRows](), list[Tensor]()
    for batch in track(loader, description="predicting", console=Console(stderr=True), transient=True):
        prediction = predict(batch).map(Tensor.cpu)
        rows.append(rows_of(prediction.point, batch.targets))  # type: ignore[attr-defined]
        if prediction.features is not None:  # type: ignore[attr-defined]
            features.append(prediction.features)  # type: ignore[attr-defined]
    release(loader)
    labels = data.labels  # type: ignore[attr-defined]
    table = prediction_table(joined(rows), labels)
    return Predictions(table, torch.cat(features) if features else None, labels.calibration.bool())


def people_in(predictions: Predictions) -> dict[str, tuple[Frames, Bool[Tensor, "n"]]]:
    """The frames of each person by name, and which of them are of dots meant for calibration: all if none is marked.

    Raises:
        CalibrationError: there are no frames.
    """
    table = predictions.table
    if not len(table):
        raise CalibrationError(
            "there are no calibration dots: the predictions have no row; give those of another split"
        )
    rows, names = rows_in(table), table["subject"].to_pylist()
    of_person: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        of_person.setdefault(name, []).append(row)
    found = {}
    for name, places in of_person.items():
        chosen = torch.tensor(places)
        features = predictions.features
        frames = Frames(
            rows.point[chosen],
            rows.truth[chosen],
            rows.fixation[chosen],
            None if features is None else features[chosen].double(),
        )
        meant = torch.ones(len(chosen), dtype=torch.bool)
        if predictions.calibration is not None and bool(predictions.calibration[chosen].any()):
            meant = predictions.calibration[chosen]
        found[name] = frames, meant
    return found
