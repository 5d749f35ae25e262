"""Says what a redirector is made of and what it is taught, before the first step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gaze.avatars.corrections import Corrections, row_problem
from gaze.callbacks.callback import Callback
from gaze.schedules import value_at
from gaze.types import Progress

if TYPE_CHECKING:
    from gaze.trainer import Trainer

log = logging.getLogger(__name__)


class ActiveParts(Callback):
    """Prints the renderer's parts (depth, heads, patch, VAE) and every loss term with its weight, and checks corrections.

    Raises:
        ValueError: when training starts, the model has fewer rows of corrections than there are training samples.
    """

    def fit_start(self, trainer: Trainer) -> None:
        corrections = getattr(trainer.model, "corrections", None)
        if isinstance(corrections, Corrections) and (problem := row_problem(corrections.rows, len(trainer.train_set))):
            raise ValueError(problem)
        if trainer.hardware.main:
            for line in lines(trainer):
                log.info("%s", line)


def lines(trainer: Trainer) -> list[str]:
    """What is active, a line for each part and term."""
    facts: dict[str, str] = getattr(trainer.model, "facts", {})
    title = facts.get("Renderer", type(trainer.model).__name__)
    said = [
        f"[{title}] Initializing with:",
        *(f"  - {name}: {fact}" for name, fact in facts.items() if name != "Renderer"),
    ]
    said.append("[Loss Components]")
    return said + [
        f"  - {name}: {_when(term.weight, trainer.progress)}" for name, term in trainer.objective.terms.items()
    ]  # type: ignore[arg-type]


def _when(weight: object, progress: Progress) -> str:
    """A weight in words: what it is now, and what it ends with where it changes."""
    now = value_at(weight, progress)  # type: ignore[arg-type]
    later = value_at(weight, progress._replace(step=max(progress.steps - 1, 0)))  # type: ignore[arg-type]
    if now == later:
        return f"weight {now:g}"
    starts = next((k for k in range(progress.steps) if value_at(weight, progress._replace(step=k)) != now), 0)  # type: ignore[arg-type]
    return f"weight {now:g}, from epoch {starts // progress.steps_per_epoch} on it changes, to {later:g} in the end"
