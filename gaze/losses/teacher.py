"""Whether a finished model can teach a loss anything."""

from __future__ import annotations

import inspect

from torch import nn

from gaze.types import Record


def check_teacher(teacher: nn.Module, reads: type[Record], whose: str) -> None:
    """See that a teacher looks at what its student looks at, as far as its own annotation says.

    Args:
        reads: the record that samples of the student's task hold.
        whose: name of the loss, for the message.

    Raises:
        ValueError: it is a model of another task.
    """
    name = record_read(teacher)
    if name not in (None, reads.__name__):
        raise ValueError(
            f"{whose}.teacher is a {type(teacher).__name__}, which reads {name}; expected a model that reads "
            f"{reads.__name__}, as the student does: set loss.{whose}.teacher.run to such a run"
        )


def record_read(model: nn.Module) -> str | None:
    """The name of the record that a model takes, as far as its own annotation says; None if it says nothing."""
    inputs = next(iter(inspect.signature(model.forward).parameters.values()), None)
    known = inspect.Parameter.empty if inputs is None else inputs.annotation
    if known is inspect.Parameter.empty:
        return None
    return known if isinstance(known, str) else str(known.__name__)
