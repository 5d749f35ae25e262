"""Runs a model over a dataset and computes its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn
from torchmetrics import MeanMetric, Metric

from gaze.hardware import Hardware
from gaze.losses.objective import Objective
from gaze.types import Batch, Progress


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    metrics: Mapping[str, Metric],
    hardware: Hardware,
    amp: bool = False,
    objective: Objective | None = None,
    progress: Progress | None = None,
    each: Callable[[int], object] = lambda done: None,
) -> dict[str, float]:
    """The figures of all metrics, over all replicas, and the terms of the objective if there is one.

    Args:
        model: put into eval mode, and left in it.
        batches: what to evaluate; with replicas, this one's share.
        metrics: reset first; each computes a dict of named figures.
        hardware: places the batches; metrics combine their states over its replicas.
        amp: run the model in the lower number format. Metrics and losses are float32 in any case.
        objective: its terms are averaged over samples; needs `progress`.
        progress: the time that the objective's schedules read.
        each: called with the number of batches done, for a progress bar.
    """
    model.eval()
    means: dict[str, MeanMetric] = {}
    for metric in metrics.values():
        metric.to(hardware.device).reset()
    for done, batch in enumerate(map(hardware.place, batches), start=1):
        with hardware.autocast(amp):
            prediction = model(batch.inputs)
        prediction = prediction.float32()
        for metric in metrics.values():
            metric.update(prediction, batch.targets)
        if objective is not None and progress is not None:
            _, terms = objective(prediction, batch, progress)
            for name, value in terms.items():
                means.setdefault(name, MeanMetric().to(hardware.device)).update(value, len(batch.index))
        each(done)
    figures = {name: float(mean.compute()) for name, mean in means.items()}
    figures |= {name: float(value) for metric in metrics.values() for name, value in metric.compute().items()}
    return figures
