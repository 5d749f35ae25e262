"""Batch norms that stay as their pretraining left them, for batches too small to have statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch.nn.modules.batchnorm import _BatchNorm

from gaze.callbacks.callback import Callback
from gaze.freezing import set_trainable
from gaze.optimizers import matches

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class FreezeBatchNorm(Callback):
    """Freezes scale, shift and statistics of batch norms for the whole run.

    With fewer than about 16 samples per forward pass the statistics of a batch are noise. Put it after
    `unfreeze` in the list of callbacks, which decides about whole blocks.

    Args:
        modules: globs over the names of batch norms.

    Raises:
        ValueError: no batch norm has such a name.
    """

    def __init__(self, modules: Sequence[str] = ("*",)) -> None:
        self.modules = list(modules)

    def fit_start(self, trainer: Trainer) -> None:
        self._freeze(trainer)

    def epoch_start(self, trainer: Trainer) -> None:
        self._freeze(trainer)  # a block that has just thawed has thawed its norms, too

    def _freeze(self, trainer: Trainer) -> None:
        norms = {name: module for name, module in trainer.model.named_modules() if isinstance(module, _BatchNorm)}
        chosen = [norm for name, norm in norms.items() if any(matches(name, pattern) for pattern in self.modules)]
        if not chosen:
            raise ValueError(
                f"callback.freeze_batchnorm.modules {self.modules} match no batch norm; there are {', '.join(norms) or 'none'}"
            )
        parameters = [parameter for norm in chosen for parameter in norm.parameters()]
        if any(parameter.requires_grad for parameter in parameters):
            set_trainable(parameters, False)
            trainer.prepare()  # DDP looked at requires_grad when it wrapped the model
