"""An exponential moving average of the weights, validated in place of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from gaze.callbacks.callback import Callback
from gaze.sharding import all_laid_out_like, is_sharded

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class EMA(Callback):
    """Keeps `average = d average + (1 - d) weights` and makes it what is validated and called best.

    Modules that never train (`never_trains`, as CLIP's towers) are not copied: model and average share them.

    Args:
        decay: d once warm, in [0, 1). It starts as (1 + step) / (10 + step), so that the first,
            random weights are soon forgotten.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"callback.ema.decay is {decay}; expected 0 or more and less than 1")
        self.decay = self.now = decay
        self.average: AveragedModel | None = None
        self.shared: list[str] = []  # names of modules
        self.begun = False  # has the average taken any weights?

    def fit_start(self, trainer: Trainer) -> None:
        self.average = AveragedModel(trainer.model)
        self.average.requires_grad_(False)
        # FSDP2 knows one model for each weight; divided among replicas, a copy costs each but its part.
        self.shared = [] if is_sharded(trainer.model) else share(trainer.model, self.average.module)
        trainer.eval_model = self.average.module
        self._pair(trainer)

    def epoch_start(self, trainer: Trainer) -> None:
        self._pair(trainer)

    @torch.no_grad()
    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        """What `AveragedModel.update_parameters` does, which walks through both models and sends its count to the device."""
        assert self.average is not None
        step = trainer.progress.step
        self.now = min(self.decay, (1 + step) / (10 + step))
        if self.begun:
            torch._foreach_lerp_(self.means, self.weights, 1 - self.now)
        follow = self.buffers if self.begun else [*zip(self.means, self.weights, strict=True), *self.buffers]
        for mean, now in follow:
            mean.copy_(now)
        self.begun = True
        self.average.n_averaged += 1

    def state_dict(self) -> dict[str, Any]:
        assert self.average is not None
        own = {name: value for name, value in self.average.state_dict().items() if not self._is_shared(name)}
        return {"average": own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        assert self.average is not None
        own = self.average.state_dict()
        kept = {name: value for name, value in state["average"].items() if not self._is_shared(name)}
        # What a run on other hardware shared has no average; it is what the model has.
        self.average.load_state_dict(own | all_laid_out_like(kept, own))
        self.begun = bool(self.average.n_averaged > 0)

    def _is_shared(self, name: str) -> bool:
        return any(name.startswith(f"module.{part}.") for part in self.shared)

    def _pair(self, trainer: Trainer) -> None:
        """Note which tensors of the average follow which of the model; shared ones are the same."""
        assert self.average is not None
        mine, its = self.average.module, trainer.model
        pairs = [(a, b) for a, b in zip(mine.parameters(), its.parameters(), strict=True) if a is not b]
        self.means, self.weights = [a.detach() for a, _ in pairs], [b.detach() for _, b in pairs]
        self.buffers = [(a, b) for a, b in zip(mine.buffers(), its.buffers(), strict=True) if a is not b]


def share(model: nn.Module, copy: nn.Module) -> list[str]:
    """Put the modules of a model that never train in place of their copies; their names."""
    found: list[str] = []
    for name, module in model.named_modules():
        if getattr(module, "never_trains", False) and not any(name.startswith(f"{above}.") for above in found):
            copy.set_submodule(name, module)
            found.append(name)
    return found
