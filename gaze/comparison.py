"""Compares a model with the baselines of its task on one split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.console import Console
from rich.progress import track
from torch import nn
from torchmetrics import Metric

from gaze.baselines import CentrePrior, DisplacementPrior, MeanHeatmap
from gaze.datasets.annotations import SceneLabels
from gaze.datasets.dataset import Dataset
from gaze.evaluation import evaluate
from gaze.hardware import Hardware
from gaze.head_records import HeadRecorder, HeadRecords
from gaze.loading import release
from gaze.types import SceneInputs

# What each baseline is told: why a model that looks at faces can be better.
SEES = {
    "centre prior": "nothing",
    "train-set mean heatmap": "where people looked in training",
    "head position only": "that, and where the head is",
}
Figures = dict[str, dict[str, float]]  # name of the model -> name of the figure -> value


class Comparison(NamedTuple):
    """What became of all models."""

    figures: Figures
    records: dict[str, HeadRecords]  # name of the model -> its heads; none if the samples are not scenes


def compare(
    models: Mapping[str, nn.Module],
    dataset: Dataset,
    metrics: Mapping[str, Metric],
    hardware: Hardware,
    batch_size: int = 64,
    amp: bool = False,
) -> Comparison:
    """The figures of each model on the same samples and, of scenes, those of each head.

    Args:
        models: by the names that they are to have in tables.
        dataset: the split.
        metrics: which figures.
    """
    scenes = about_scenes(dataset)
    loader = hardware.loader(dataset, batch_size=batch_size)
    compared = Comparison({}, {})
    for name, model in models.items():
        recorder = HeadRecorder() if scenes else None
        batches = track(loader, description=f"{name:24}", console=Console(stderr=True), transient=True)
        model.to(hardware.device)
        compared.figures[name] = evaluate(model, batches, metrics, hardware, amp, recorder=recorder)
        if recorder is not None:
            compared.records[name] = recorder.records()
    release(loader)
    return compared


def about_scenes(dataset: Dataset) -> bool:
    """Are the samples pictures with heads in them?"""
    return len(dataset) > 0 and isinstance(dataset[0].inputs, SceneInputs)


def scene_baselines(train_set: Dataset) -> dict[str, nn.Module]:
    """Guesses at where people look, learnt from the labels of a training split; none for other tasks."""
    labels = getattr(train_set, "labels", None)
    if not isinstance(labels, SceneLabels):
        return {}
    return dict(zip(SEES, (CentrePrior(), MeanHeatmap(labels), DisplacementPrior(labels)), strict=True))
