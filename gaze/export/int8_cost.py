"""What 8-bit weights cost: measured on the run's own validation frames, or bounded where they are not at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.export.facts import ExportError
from gaze.export.samples import validation_samples
from gaze.types import ScreenInputs

FRAMES = 256  # of the validation split, spread evenly
MOST_ERROR_CM = 0.03  # by which the mean error may change
MOST_SHIFT_CM = 0.1  # by which made-up samples' points may move on average; the error changes by far less
REMEDY = "export it with weights=float32"


@torch.no_grad()
def cost(whole: nn.Module, rounded: nn.Module, dataset: Mapping[str, Any], made_up: ScreenInputs) -> dict[str, float]:
    """By how much the mean error changes and points move, cm; the error only where there are frames with labels.

    Args:
        whole, rounded: the model before and after.
        dataset: plain config of the run's data set.
        made_up: what is looked at where the data set is not there.

    Raises:
        ExportError: it is too much.
    """
    batch = validation_samples(dataset, FRAMES, "the cost of 8 bits is bounded on made-up samples")
    inputs = made_up if batch is None else batch.inputs.map(lambda t: t / 255 if t.dtype == torch.uint8 else t)
    before, after = whole(inputs).point, rounded(inputs).point
    shift = (after - before).norm(dim=-1).mean().item()
    if batch is None:
        _refuse("moves points by", shift, MOST_SHIFT_CM)
        return {"int8_shift_cm": shift}
    change = _error(after, batch.targets.point) - _error(before, batch.targets.point)
    _refuse("changes the mean error by", abs(change), MOST_ERROR_CM)
    return {"int8_error_change_cm": change, "int8_shift_cm": shift, "int8_frames": float(len(before))}


def _error(point: Float[Tensor, "b 2"], truth: Float[Tensor, "b 2"]) -> float:
    return (point - truth).norm(dim=-1).mean().item()


def _refuse(what: str, found: float, most: float) -> None:
    if not found <= most:
        raise ExportError(f"weights=int8 {what} {found:.3f} cm; expected at most {most} cm: {REMEDY}")
