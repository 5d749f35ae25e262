"""An exponential moving average of the weights, validated in place of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from gaze.callbacks.callback import Callback

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class EMA(Callback):
    """Keeps `average = d average + (1 - d) weights` and makes it what is validated and called best.

    Args:
        decay: d once warm, in [0, 1). It starts as (1 + step) / (10 + step), so that the first,
            random weights are soon forgotten.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"callback.ema.decay is {decay}; expected 0 or more and less than 1")
        self.decay = self.now = decay
        self.average: AveragedModel | None = None

    def fit_start(self, trainer: Trainer) -> None:
        self.average = AveragedModel(trainer.model, multi_avg_fn=self._average)  # type: ignore[arg-type]
        self.average.requires_grad_(False)
        trainer.eval_model = self.average.module

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        assert self.average is not None
        step = trainer.progress.step
        self.now = min(self.decay, (1 + step) / (10 + step))
        self.average.update_parameters(trainer.model)

    def state_dict(self) -> dict[str, Any]:
        assert self.average is not None
        return {"average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert self.average is not None
        self.average.load_state_dict(state["average"])

    @torch.no_grad()
    def _average(self, average: list[Tensor], weights: list[Tensor], updates: Tensor) -> None:
        torch._foreach_lerp_(average, weights, 1 - self.now)
