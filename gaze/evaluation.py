"""Runs a model over a dataset and computes its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torchmetrics import Metric

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
    stop: Callable[[], bool] = lambda: False,
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
        stop: asked after every batch; when it says so, nothing is computed and there are no figures.
    """
    model.eval()
    sums: dict[str, Tensor] = {}
    samples = 0
    for metric in metrics.values():
        metric.to(hardware.device).reset()
    for batch in map(hardware.place, batches):
        with hardware.autocast(amp):
            prediction = model(batch.inputs)
        prediction = prediction.float32()
        for metric in metrics.values():
            metric.update(prediction, batch.targets)
        if objective is not None and progress is not None:
            _, terms = objective(prediction, batch, progress)
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(value, dtype=torch.float64)) + value * len(batch.index)
        samples += len(batch.index)
        if stop():
            return {}
    count = float(hardware.total(torch.tensor(float(samples), device=hardware.device)))
    # NaN stays NaN: a model that fails on one batch has no good figure.
    figures = {name: float(hardware.total(value)) / count for name, value in sums.items()}
    figures |= {name: float(value) for metric in metrics.values() for name, value in metric.compute().items()}
    return figures
