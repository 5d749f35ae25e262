"""Says what a redirector is made of and what it is taught, before the first step."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gaze.avatars.corrections import Corrections, row_problem
from gaze.callbacks.callback import Callback
from gaze.losses.loss import Loss
from gaze.redirection.people import acquaintance
from gaze.schedules import Schedule, value_at
from gaze.types import Progress

if TYPE_CHECKING:
    from gaze.trainer import Trainer

log = logging.getLogger(__name__)


class ActiveParts(Callback):
    """Prints the renderer's parts (depth, heads, patch, VAE), every loss term with its weight, and who is validated on.

    Raises:
        ValueError: when training starts, the model has fewer rows of corrections than there are training samples, or a
            schedule leaves a loss term at weight 0 for the whole run.
        UserError: a metric judges by a run that is in the loss, too.
    """

    def fit_start(self, trainer: Trainer) -> None:
        from gaze.redirection.teachers import refuse_taught_judges  # imports Hydra, which a test need not

        corrections = getattr(trainer.model, "corrections", None)
        if isinstance(corrections, Corrections) and (problem := row_problem(corrections.rows, len(trainer.train_set))):
            raise ValueError(problem)
        for name, term in trainer.objective.terms.items():
            assert isinstance(term, Loss)
            _refuse_idle(name, term.weight, trainer.progress)
        if (trainer.run.path / "config.yaml").is_file():
            refuse_taught_judges(trainer.run.path)
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
    for name, term in trainer.objective.terms.items():
        assert isinstance(term, Loss)
        called = f"{term.title} ({name})" if term.title else name
        said.append(f"  - {called}: {_when(term.weight, trainer.progress)}")
    return [*said, f"[Validation] {acquaintance(trainer.val_set, trainer.train_set)}"]


def _refuse_idle(name: str, weight: float | Schedule, progress: Progress) -> None:
    """A weight of 0 is a choice; a schedule that begins after the last step is an oversight."""
    if callable(weight) and not any(weight(progress._replace(step=k)) for k in range(progress.steps)):
        epochs = progress.steps // progress.steps_per_epoch
        raise ValueError(
            f"loss.{name} would never act: its weight is 0 at each of the {progress.steps} steps of the {epochs} epochs of "
            f"this run; set loss.{name}.weight.epochs=[K] to an epoch before the last, loss.{name}.weight=NUMBER for the "
            f"whole run, or train for longer; leave it out of loss=[...] if that is meant"
        )


def _when(weight: float | Schedule, progress: Progress) -> str:
    """A weight in words: what it is now, and what it ends with where it changes."""
    now = value_at(weight, progress)
    later = value_at(weight, progress._replace(step=max(progress.steps - 1, 0)))
    if now == later:
        return f"weight {now:g}"
    starts = next((k for k in range(progress.steps) if value_at(weight, progress._replace(step=k)) != now), 0)
    return f"weight {now:g}, from epoch {starts // progress.steps_per_epoch} on it changes, to {later:g} in the end"
