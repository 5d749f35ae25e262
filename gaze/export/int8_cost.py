"""What 8-bit weights cost: measured on the run's own validation frames, or bounded where they are not at hand."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from omegaconf import OmegaConf
from torch import Tensor, nn

from gaze.errors import UserError
from gaze.export.facts import ExportError
from gaze.runs import build, check
from gaze.types import Batch, ScreenInputs, ScreenTargets, collate

logger = logging.getLogger(__name__)

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
    batch = _frames(dataset)
    inputs = made_up if batch is None else batch.inputs.map(lambda t: t / 255 if t.dtype == torch.uint8 else t)
    before, after = whole(inputs).point, rounded(inputs).point
    shift = (after - before).norm(dim=-1).mean().item()
    if batch is None:
        _refuse("moves points by", shift, MOST_SHIFT_CM)
        return {"int8_shift_cm": shift}
    change = _error(after, batch.targets.point) - _error(before, batch.targets.point)
    _refuse("changes the mean error by", abs(change), MOST_ERROR_CM)
    return {"int8_error_change_cm": change, "int8_shift_cm": shift, "int8_frames": float(len(before))}


def _frames(dataset: Mapping[str, Any]) -> Batch[ScreenInputs, ScreenTargets] | None:
    """Frames of the validation split; None where the data are not on this machine."""
    node = OmegaConf.create({"dataset": dict(dataset)})
    try:
        check(node)
        data = build(node.dataset)(split="val")
        rows = torch.linspace(0, len(data) - 1, min(FRAMES, len(data))).round().int().tolist()
        return collate([data.sample(row, None) for row in rows])
    except (UserError, ValueError, OSError) as error:
        logger.warning(
            "the cost of 8 bits is bounded on made-up samples, since the run's data can't be read: %s", error
        )
        return None


def _error(point: Float[Tensor, "b 2"], truth: Float[Tensor, "b 2"]) -> float:
    return (point - truth).norm(dim=-1).mean().item()


def _refuse(what: str, found: float, most: float) -> None:
    if not found <= most:
        raise ExportError(f"weights=int8 {what} {found:.3f} cm; expected at most {most} cm: {REMEDY}")
