"""Runs a model over a dataset and computes its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from gaze.hardware import Hardware
from gaze.head_records import HeadRecorder
from gaze.losses.objective import Objective
from gaze.metrics.per_head import HeadFigure, HeadRanking, PerHead
from gaze.types import Batch, Progress, Record


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
    recorder: HeadRecorder | None = None,
) -> dict[str, float]:
    """The figures of all metrics, over all replicas, and the terms of the objective if there is one.

    Args:
        model: put into eval mode, and left in it.
        batches: what to evaluate; with replicas, this one's share.
        metrics: reset first; each computes a dict of named figures.
        hardware: places the batches; metrics combine their states over its replicas.
        amp: run the model in the lower number format. Metrics and losses are float32 in any case.
        objective: its terms are averaged over samples; needs `progress`. Put into eval mode as the model is.
        progress: the time that the objective's schedules read.
        stop: asked after every batch; when it says so, nothing is computed and there are no figures.
        recorder: of scenes; it is given every head with its figures, which are computed once for it and the metrics.
    """
    model.eval()
    if objective is not None:
        objective.eval()
    sums: dict[str, Tensor] = {}
    samples = 0
    for metric in metrics.values():
        metric.to(hardware.device).reset()
    idle, lowered = hardware.idle_passes(batches), hardware.lowered(model, amp, everything=True)
    for batch in map(hardware.place, batches):
        with hardware.autocast(amp), lowered:
            prediction = model(batch.inputs)
        prediction = prediction.float32()
        heads = _update(metrics, prediction, batch, apart=recorder is not None)
        if recorder is not None:
            recorder.add(batch, prediction, heads)
        if objective is not None and progress is not None:
            _, terms = objective(prediction, batch, progress)
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(value, dtype=torch.float64)) + value * len(batch.index)
        samples += len(batch.index)
        if stop():
            return {}
    for _ in range(idle):
        with hardware.autocast(amp):
            model(batch.inputs)
    count = float(hardware.total(torch.tensor(float(samples), device=hardware.device)))
    # NaN stays NaN: a model that fails on one batch has no good figure.
    figures = {name: float(hardware.total(value)) / count for name, value in sums.items()}
    figures |= {name: float(value) for metric in metrics.values() for name, value in metric.compute().items()}
    return figures


def on_batches(model: nn.Module, hardware: Hardware, amp: bool = False) -> Callable[[Batch], Record]:
    """A model, put into eval mode, as a function of batches from the CPU; its predictions are float32."""
    model.eval()
    lowered = hardware.lowered(model, amp, everything=True)

    @torch.no_grad()
    def predict(batch: Batch) -> Record:
        with hardware.autocast(amp), lowered:
            prediction: Record = model(hardware.place(batch).inputs)
        return prediction.float32()

    return predict


def _update(
    metrics: Mapping[str, Metric], prediction: Record, batch: Batch, apart: bool
) -> dict[str, HeadFigure | HeadRanking]:
    """Add a batch to all metrics; if asked, also what they say of each head apart."""
    found: dict[str, HeadFigure | HeadRanking] = {}
    for metric in metrics.values():
        if apart and isinstance(metric, PerHead):
            heads = metric.heads(prediction, batch.targets)  # type: ignore[arg-type]
            metric.update(prediction, batch.targets, heads)
            found |= heads
        else:
            metric.update(prediction, batch.targets)
    return found
