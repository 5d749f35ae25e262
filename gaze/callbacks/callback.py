"""What every callback is: five hooks, each called at one visible place in the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class Callback:
    """Something that happens around the steps of training. Override what you need.

    Its `state_dict` goes into the checkpoint under the name it has in the config; tensors, numbers,
    strings and containers of them only.

    Attributes:
        last: its hooks are called after those of all others, wherever it stands in the config.
    """

    last = False

    def fit_start(self, trainer: Trainer) -> None:
        """Once, before the first step.

        The trainer's own state has been restored by now if the run was interrupted; this callback's
        own, if it saved any, comes right after.
        """

    def epoch_start(self, trainer: Trainer) -> None:
        """Before the first step of an epoch, and before the first step after a resume inside one."""

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        """After each optimizer step, with `loss` and its unweighted terms, detached and on the device."""

    def epoch_end(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        """After validation, with its figures; `trainer.improved` says whether they are the best so far."""

    def fit_end(self, trainer: Trainer) -> None:
        """Once, when training ended by itself or by a signal, but not by an exception."""

    def figures(self) -> dict[str, Tensor]:
        """Scalars for the next line of training figures, on the device: averages since the last time it was asked for."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What must survive an interruption."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` gave."""
