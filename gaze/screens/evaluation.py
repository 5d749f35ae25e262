"""Evaluates a point-of-gaze model on a split: the table of its predictions, beside what baselines guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from pyarrow import Table
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn

from gaze.bootstrap import Interval
from gaze.datasets.dataset import Dataset
from gaze.datasets.faults import EmptySplitError
from gaze.datasets.screen_labels import ScreenLabels
from gaze.evaluation import on_batches
from gaze.hardware import Hardware
from gaze.loading import release
from gaze.pictures.points import points_picture
from gaze.screens.baselines import baseline_points
from gaze.screens.figures import named
from gaze.screens.reports import fold_rows, write_reports
from gaze.screens.rows import PointRows, joined, rows_of, unit_of
from gaze.screens.table import LEFT_OUT, prediction_table, rows_in, with_facts, write_csv
from gaze.tables import figure_table, fold_sheet
from gaze.types import ScreenInputs


def about_screens(dataset: Dataset) -> bool:
    """Are the samples crops of users of a screen, with labels for all of them?"""
    labels = getattr(dataset, "labels", None)
    return len(dataset) > 0 and isinstance(labels, ScreenLabels) and isinstance(dataset[0].inputs, ScreenInputs)


class Observed(NamedTuple):
    """What a model says of a split, frame by frame in the order of its labels."""

    rows: PointRows
    log_scale: Float[Tensor, "n 2"] | None  # as in `ScreenPrediction`
    features: Float[Tensor, "n f"] | None


def observe(model: nn.Module, data: Dataset, hardware: Hardware, batch_size: int = 64, amp: bool = False) -> Observed:
    """What a model says of all frames of a split of screens."""
    predict = on_batches(model.to(hardware.device), hardware, amp)
    loader = hardware.loader(data, batch_size=batch_size)
    rows, kept = list[PointRows](), dict[str, list[Tensor]](log_scale=[], features=[])
    for batch in track(loader, description="predicting", console=Console(stderr=True), transient=True):
        prediction = predict(batch).map(Tensor.cpu)
        rows.append(rows_of(prediction.point, batch.targets))  # type: ignore[attr-defined]
        for name, values in kept.items():
            if (value := getattr(prediction, name)) is not None:
                values.append(value)
    release(loader)
    return Observed(joined(rows), **{name: torch.cat(values) if values else None for name, values in kept.items()})


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
    return table_of(observe(model, test_set, hardware, batch_size, amp), labels, train_labels)


def table_of(observed: Observed, labels: ScreenLabels, train_labels: ScreenLabels | None) -> Table:
    """The table of what was observed, with the guesses of baselines that learn from `train_labels`, if given."""
    guesses = baseline_points(train_labels, labels) if train_labels is not None else {}
    return prediction_table(observed.rows, labels, guesses, observed.log_scale)


def training_labels(open_split: Callable[..., Dataset]) -> ScreenLabels | None:
    """The labels of the training split, for baselines; None, and a line that says so, where there is no such split."""
    try:
        return getattr(open_split(split="train"), "labels", None)
    except EmptySplitError as error:
        print(f"baselines are left out, because they learn from the split train: {error}")
        return None


SHOWN = ("error_cm", "error_median_cm", "fixation_error_cm", "subject_error_cm", "error_px", "error_deg")


def report(
    table: Table, folder: Path, about: Mapping[str, str] | None = None, resamples: int = 1000, seed: int = 0
) -> None:
    """Write a table of predictions, and all that there is to say of it, into a folder; print the main figures.

    predictions.csv, and what `report_again` makes of it.

    Args:
        about: facts of `gaze.screens.table.ABOUT` that the table is to say, such as split, model and commit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = with_facts(table, about or {})
    write_csv(table, folder / "predictions.csv")
    report_again(table, folder, resamples, seed)


def report_again(table: Table, folder: Path, resamples: int = 1000, seed: int = 0) -> None:
    """Write all that there is to say of a table of predictions: summary.csv, per_subject.csv and its like, points.png.

    Of runs that left somebody out in turn also per_left_out.csv. What is written depends on the table alone, so it comes
    out the same, byte for byte, from a file of it.
    """
    found = write_reports(table, folder, resamples, seed)
    points_picture(table, folder / "points.png")
    unit = unit_of(rows_in(table))
    shown, ends = dict[str, dict[str, float]](), dict[str, dict[str, Interval]]()
    for name, row in found.items():
        told = {key: row[key] for key in (named(key, unit) for key in SHOWN) if key in row}
        shown[name.replace("_", " ")] = {key: figure.value for key, figure in told.items()}
        ends[name.replace("_", " ")] = {key: figure.interval for key, figure in told.items() if figure.interval}
    figure_table(shown, f"{len(table)} frames", ends)
    if LEFT_OUT in table.column_names:
        key = named("subject_error_cm", unit)
        whole = {name: row[key] for name, row in found.items() if key in row}
        values = {name: figure.value for name, figure in whole.items()}
        intervals = {name: figure.interval for name, figure in whole.items() if figure.interval}
        fold_sheet(fold_rows(table), key, values, intervals)
    print(f"written to {folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")
