"""Compares a model with the baselines of its task on one split."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from torchmetrics import Metric

from gaze.baselines import CentrePrior, DisplacementPrior, MeanHeatmap
from gaze.datasets.annotations import SceneLabels
from gaze.datasets.dataset import Dataset
from gaze.evaluation import evaluate
from gaze.hardware import Hardware
from gaze.loading import release

# What each baseline is told: why a model that looks at faces can be better.
SEES = {
    "centre prior": "nothing",
    "train-set mean heatmap": "where people looked in training",
    "head position only": "that, and where the head is",
}
Figures = dict[str, dict[str, float]]  # name of the model -> name of the figure -> value


def compare(
    name: str,
    model: nn.Module,
    dataset: Callable[..., Dataset],
    metrics: Mapping[str, Metric],
    hardware: Hardware,
    split: str = "test",
    baselines: bool = True,
    batch_size: int = 64,
    amp: bool = False,
) -> Figures:
    """The figures of a model, and of the baselines of its task if there are any.

    Args:
        name: what to call the model.
        dataset: makes the data set of a split. The baselines learn from its labels of "train".
        metrics: which figures.
        baselines: evaluate them, too.
    """
    test_set = dataset(split=split)
    models: dict[str, nn.Module] = {name: model}
    if baselines:
        models |= scene_baselines(dataset(split="train"))
    loader = hardware.loader(test_set, batch_size=batch_size)
    figures: Figures = {}
    for title, candidate in models.items():
        batches = track(loader, description=f"{title:24}", console=Console(stderr=True), transient=True)
        figures[title] = evaluate(candidate.to(hardware.device), batches, metrics, hardware, amp)
    release(loader)
    return figures


def scene_baselines(train_set: Dataset) -> dict[str, nn.Module]:
    """Guesses at where people look, learnt from the labels of a training split; none for other tasks."""
    labels = getattr(train_set, "labels", None)
    if not isinstance(labels, SceneLabels):
        return {}
    return dict(zip(SEES, (CentrePrior(), MeanHeatmap(labels), DisplacementPrior(labels)), strict=True))


def table(figures: Figures, title: str) -> None:
    """Print the figures, a row for each model, and how far the first is ahead of the best baseline."""
    columns = list(dict.fromkeys(key for row in figures.values() for key in row))
    baselines = [name for name in figures if name in SEES]
    sheet = Table("", *(["what it sees"] if baselines else []), title=title, title_justify="left")
    for column in columns:
        sheet.add_column(column, justify="right")
    for name, row in figures.items():
        sees = [SEES.get(name, "the picture")] if baselines else []
        sheet.add_row(name, *sees, *(f"{row[c]:.4f}" if c in row else "" for c in columns))
    console = Console()
    console.print(sheet)
    if baselines and "min_l2" in columns:
        ours, model = next((row["min_l2"], name) for name, row in figures.items() if name not in SEES)
        best = min(baselines, key=lambda name: figures[name]["min_l2"])
        theirs = figures[best]["min_l2"]
        console.print(
            f"{model}: min_l2 {abs(1 - ours / theirs):.0%} {'smaller' if ours < theirs else 'LARGER'} than the best "
            f"baseline's, that of '{best}'",
            soft_wrap=True,
        )
