"""Evaluates a point-of-gaze model on a split: the table of its predictions, beside what baselines guess."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pyarrow import Table
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from gaze.datasets.dataset import Dataset
from gaze.datasets.screen_labels import ScreenLabels
from gaze.evaluation import on_batches
from gaze.hardware import Hardware
from gaze.loading import release
from gaze.pictures.points import points_picture
from gaze.screens.baselines import baseline_points
from gaze.screens.figures import named
from gaze.screens.reports import fold_rows, write_reports
from gaze.screens.rows import joined, rows_of
from gaze.screens.table import LEFT_OUT, prediction_table, unit_of, write_csv
from gaze.tables import figure_table, fold_sheet
from gaze.types import ScreenInputs


def about_screens(dataset: Dataset) -> bool:
    """Are the samples crops of users of a screen, with labels for all of them?"""
    labels = getattr(dataset, "labels", None)
    return len(dataset) > 0 and isinstance(labels, ScreenLabels) and isinstance(dataset[0].inputs, ScreenInputs)


def predictions(
    model: nn.Module,
    test_set: Dataset,
    train_labels: ScreenLabels | None,
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
) -> Table:
    """The table of all frames of a split; see `gaze.screens.table`.

    Args:
        train_labels: what baselines learn from; None leaves them out.
    """
    labels: ScreenLabels = test_set.labels  # type: ignore[attr-defined]
    predict = on_batches(model.to(hardware.device), hardware, amp)
    loader = hardware.loader(test_set, batch_size=batch_size)
    rows, scales = [], list[Tensor]()
    for batch in track(loader, description="predicting", console=Console(stderr=True), transient=True):
        prediction = predict(batch).map(Tensor.cpu)
        rows.append(rows_of(prediction.point, batch.targets))  # type: ignore[attr-defined]
        if prediction.log_scale is not None:  # type: ignore[attr-defined]
            scales.append(prediction.log_scale)  # type: ignore[attr-defined]
    release(loader)
    guesses = baseline_points(train_labels, labels) if train_labels is not None else {}
    return prediction_table(joined(rows), labels, guesses, torch.cat(scales) if scales else None)


SHOWN = ("error_cm", "error_median_cm", "fixation_error_cm", "subject_error_cm", "error_px", "error_deg")


def report(table: Table, folder: Path, about: Mapping[str, str], resamples: int = 1000, seed: int = 0) -> None:
    """Write all that there is to say of a table of predictions into a folder, and print the main figures.

    predictions.csv, summary.csv, per_subject.csv and its like, and points.png; of runs that left somebody out in turn
    also per_left_out.csv.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(table, folder / "predictions.csv")
    found, ends = write_reports(table, folder, about, resamples, seed)
    points_picture(table, folder / "points.png")
    keys = [named(name, unit_of(table)) for name in SHOWN]
    shown = {name.replace("_", " "): {key: row[key] for key in keys if key in row} for name, row in found.items()}
    figure_table(shown, f"{len(table)} frames", {name.replace("_", " "): end for name, end in ends.items()})
    if LEFT_OUT in table.column_names:
        fold_sheet(fold_rows(table), named("subject_error_cm", unit_of(table)), found, ends)
    print(f"written to {folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")
