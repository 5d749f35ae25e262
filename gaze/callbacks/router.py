"""Keeps experts busy alike, and says how busy each is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gaze.callbacks.callback import Callback
from gaze.moe.balance import max_violation
from gaze.moe.mixture import Mixture

if TYPE_CHECKING:
    from gaze.trainer import Trainer

logger = logging.getLogger(__name__)


class Router(Callback):
    """Moves the biases of all routers once in a step, by what all forward passes of all replicas asked together.

    Its figures, for each mixture: `max_vio` (the busiest expert above the mean, as a share of it), `entropy` of the
    scores in nats, `dropped` (share of questions without room), `dead` experts, and the share of questions of each
    expert. Without a mixture it does nothing, so that moe=dense is one change.

    Args:
        patience: steps in a row with less than `dead_below` of the mean load after which an expert is called dead, and
            with a `max_vio` above `alarm_above` after which there is a warning.
        dead_below: share of the mean load.
        alarm_above: of `max_vio`.
        shares: log the share of each expert, too.
    """

    def __init__(
        self, patience: int = 1000, dead_below: float = 0.01, alarm_above: float = 1.0, shares: bool = True
    ) -> None:
        if patience < 1:
            raise ValueError(f"callback.router.patience is {patience}; expected 1 or more")
        self.patience, self.dead_below, self.alarm_above, self.shares = patience, dead_below, alarm_above, shares
        self.mixtures: dict[str, Mixture] = {}
        self.kept: dict[str, dict[str, Tensor]] = {}
        self.alarmed: set[str] = set()

    def fit_start(self, trainer: Trainer) -> None:
        modules = {name: module for name, module in trainer.model.named_modules() if isinstance(module, Mixture)}
        # Layers are called by their numbers: 1.max_vio reads better than fusion.layers.1.mlp.max_vio.
        self.mixtures = {_short(name): module for name, module in modules.items()}
        if len(self.mixtures) < len(modules):
            self.mixtures = modules
        for name, mixture in self.mixtures.items():
            mixture.restart()  # what was counted before the first step, or before an interruption
            self.kept[name] = {
                "quiet": torch.zeros_like(mixture.counts),  # steps in a row in which an expert had next to nothing
                "uneven": mixture.counts.new_zeros(()),  # steps in a row above the alarm
                "share": torch.zeros_like(mixture.counts),  # sums since the last line from here on
                "sums": mixture.counts.new_zeros(3),  # max_vio, entropy, dropped
                "steps": mixture.counts.new_zeros(()),
            }

    def step_end(self, trainer: Trainer, terms: Mapping[str, Tensor]) -> None:
        if not self.mixtures:
            return
        parts = [part for m in self.mixtures.values() for part in (m.counts, m.sums)]
        told = trainer.hardware.total(torch.cat(parts)).split([part.numel() for part in parts])
        for i, (name, mixture) in enumerate(self.mixtures.items()):
            counts, (entropy, tokens, questions, dropped) = told[2 * i], told[2 * i + 1]
            mixture.router.settle(counts)
            mixture.restart()
            kept, mean = self.kept[name], counts.mean()
            max_vio = max_violation(counts)
            kept["quiet"] = torch.where(counts < self.dead_below * mean, kept["quiet"] + 1, 0.0)
            kept["uneven"] = torch.where(max_vio > self.alarm_above, kept["uneven"] + 1, 0.0)
            asked = questions.clamp(min=1.0)
            kept["share"] += counts / asked
            found = torch.stack([max_vio, entropy / tokens.clamp(min=1.0), dropped / asked])
            kept["sums"] += torch.where(found.isfinite(), found, 0.0)
            kept["steps"] += 1

    def figures(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, kept in self.kept.items():
            means = dict(zip(("max_vio", "entropy", "dropped"), kept["sums"] / kept["steps"], strict=True))
            figures = {**means, "dead": (kept["quiet"] >= self.patience).sum().float()}
            if self.shares:
                figures |= {f"share_{e:02d}": share for e, share in enumerate(kept["share"] / kept["steps"])}
            found |= {f"router/{name}/{key}": value for key, value in figures.items()}
            for key in ("share", "sums", "steps"):
                kept[key] = torch.zeros_like(kept[key])
        self._alarm()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Counts of steps and the sums of a line that is not complete yet. The biases are the model's."""
        return {name: {key: value.cpu() for key, value in kept.items()} for name, kept in self.kept.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, kept in state.items():
            if name in self.kept:
                self.kept[name] = {key: value.to(self.kept[name][key].device) for key, value in kept.items()}

    def _alarm(self) -> None:
        """Say once, until it is over, that a router does not come to rest."""
        if not self.kept:
            return
        steps = torch.stack([kept["uneven"] for kept in self.kept.values()]).tolist()  # once per line of the log
        for name, count in zip(self.kept, steps, strict=True):
            if count < self.patience:
                self.alarmed.discard(name)
            elif name not in self.alarmed:
                self.alarmed.add(name)
                logger.warning(
                    "router %s: for %d steps its busiest expert has had more than %g times the mean load; expected less "
                    "than %g times after some hundreds: raise moe.router.bias_rate or loss.moe_balance.weight",
                    *(name, count, 1 + self.alarm_above, 1 + self.alarm_above),
                )


def _short(name: str) -> str:
    return next((part for part in reversed(name.split(".")) if part.isdigit()), name)
