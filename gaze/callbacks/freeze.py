"""Parts of a model that keep the weights they begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gaze.callbacks.callback import Callback
from gaze.freezing import set_trainable
from gaze.optimizers import matches, modules

if TYPE_CHECKING:
    from gaze.trainer import Trainer


class Freeze(Callback):
    """Freezes modules for the whole run, such as those that `init` filled; what is wholly frozen stays in eval mode.

    Args:
        modules: names of modules, or globs over names of parameters.

    Raises:
        ValueError: one of them matches no parameter.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self.modules = list(modules)

    def fit_start(self, trainer: Trainer) -> None:
        named = dict(trainer.model.named_parameters())
        for pattern in self.modules:
            if not any(matches(name, pattern) for name in named):
                raise ValueError(
                    f"callback.freeze.modules: {pattern!r} matches no parameter of the model; "
                    f"expected some of: {', '.join(modules(trainer.model, depth=1))}"
                )
        set_trainable([p for name, p in named.items() if any(matches(name, m) for m in self.modules)], False)
        trainer.prepare()  # DDP looked at requires_grad when it wrapped the model
