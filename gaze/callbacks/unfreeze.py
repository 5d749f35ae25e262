"""Progressive unfreezing: a pretrained module thaws block by block, last block first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from gaze.callbacks.callback import Callback
from gaze.freezing import set_trainable
from gaze.optimizers import matches, modules

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class Unfreeze(Callback):
    """Trains the last `first` blocks of a module at once, and one more every so many epochs later.

    The number of blocks that train in epoch e (from 0) is
    `min(all, first + floor((e - hold_epochs) / every_epochs) + 1)` from epoch `hold_epochs` on, and
    `first` before it. The module's `blocks()` give its parameters, first block to last, embeddings
    with the first and the final norm with the last; so nothing below the thawed blocks is
    differentiated, and "all" is really all.

    Args:
        module: dotted name of the module in the model, such as "backbone".
        first: blocks that train from the start; 0 freezes the whole module, null trains all of it.
        hold_epochs: epochs before the next block thaws.
        every_epochs: epochs between further blocks; null: no further block ever thaws.
        early: globs over parameters of the module that train as soon as any block does. The code of
            GazeLLE's DINOv3 successor does so with the class token and the position embedding, which makes
            autograd go through every block: 1.8 times the time and 4 times the memory for 2 of 12 blocks.

    Raises:
        ValueError: the model has no such module, it has no blocks, or a glob matches nothing.
    """

    def __init__(
        self,
        module: str = "backbone",
        first: int | None = 0,
        hold_epochs: int = 0,
        every_epochs: int | None = None,
        early: Sequence[str] = (),
    ) -> None:
        if (first is not None and first < 0) or hold_epochs < 0 or (every_epochs is not None and every_epochs < 1):
            raise ValueError(
                f"callback.unfreeze: first {first}, hold_epochs {hold_epochs}, every_epochs {every_epochs}; expected "
                "first >= 0 or null, hold_epochs >= 0 and every_epochs >= 1 or null"
            )
        self.module, self.first, self.hold_epochs, self.every_epochs = module, first, hold_epochs, every_epochs
        self.early = list(early)
        self.open: int | None = None  # blocks that train now

    def target(self, epoch: int, blocks: int) -> int:
        """How many of `blocks` train in an epoch."""
        first = blocks if self.first is None else min(self.first, blocks)
        if self.every_epochs is None or epoch < self.hold_epochs:
            return first
        return min(blocks, first + (epoch - self.hold_epochs) // self.every_epochs + 1)

    def last_epoch(self, blocks: int) -> int | None:
        """The epoch from which all blocks train; None if that never comes."""
        if self.target(0, blocks) == blocks:
            return 0
        if self.every_epochs is None or self.first is None:
            return None
        return self.hold_epochs + (blocks - self.first - 1) * self.every_epochs

    def opens(self, trainer: Trainer) -> bool:
        """Does any block train in any epoch of this run?"""
        return self.target(trainer.epochs - 1, len(self._blocks(trainer.model))) > 0

    def plan(self, blocks: int, epochs: int) -> str:
        """Which block opens in which epoch of a training of `epochs` epochs, blocks and epochs from 0."""
        first = self.target(0, blocks)
        whole = ("none of", "all") if first in (0, blocks) else ()
        begin = f"{whole[first == blocks]} its {blocks} blocks" if whole else f"the last {first} of {blocks} blocks"
        openings = [
            f"block {blocks - opened} from epoch {epoch}"
            for epoch in range(1, epochs)
            for opened in range(self.target(epoch - 1, blocks) + 1, self.target(epoch, blocks) + 1)
        ]
        return f"{begin} train from the start" + "".join(f", {opening}" for opening in openings)

    def fit_start(self, trainer: Trainer) -> None:
        blocks = len(self._blocks(trainer.model))
        self._early(trainer.model)  # a glob that matches nothing is found now, not when the first block opens
        self._apply(trainer)
        logger.info("%s: %s", self.module, self.plan(blocks, trainer.epochs))
        last = self.last_epoch(blocks)
        if last is not None and last >= trainer.epochs:
            logger.warning(
                "%s: all %d blocks would train from epoch %d on, but training ends after %d epochs",
                *(self.module, blocks, last, trainer.epochs),
            )

    def epoch_start(self, trainer: Trainer) -> None:
        if self.target(trainer.epoch, len(self._blocks(trainer.model))) != self.open:
            self._apply(trainer)
            logger.info("%s: %d blocks train from epoch %d on", self.module, self.open, trainer.epoch)

    def _apply(self, trainer: Trainer) -> None:
        blocks = self._blocks(trainer.model)
        self.open = self.target(trainer.epoch, len(blocks))
        for number, block in enumerate(blocks):
            set_trainable(block, number >= len(blocks) - self.open)
        if self.open:
            set_trainable(self._early(trainer.model), True)
        trainer.prepare()  # DDP looked at requires_grad when it wrapped the model

    def _early(self, model: nn.Module) -> list[nn.Parameter]:
        named = dict(model.get_submodule(self.module).named_parameters())
        for pattern in self.early:
            if not any(matches(name, pattern) for name in named):
                raise ValueError(
                    f"callback.unfreeze.early: {pattern!r} matches no parameter of {self.module}; "
                    f"expected some of: {', '.join(modules(model.get_submodule(self.module)))}"
                )
        return [parameter for name, parameter in named.items() if any(matches(name, p) for p in self.early)]

    def _blocks(self, model: nn.Module) -> list[list[nn.Parameter]]:
        try:
            module = model.get_submodule(self.module)
            return module.blocks()  # type: ignore[operator, no-any-return]
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"callback.unfreeze.module is {self.module!r}: the model has no such module with blocks(); "
                f"its modules: {', '.join(modules(model, depth=1))}"
            ) from error
