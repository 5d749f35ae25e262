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
    inputs = next(iter(inspect.signature(teacher.forward).parameters.values()), None)
    known = inspect.Parameter.empty if inputs is None else inputs.annotation
    name = known if isinstance(known, str) else known.__name__
    if known is not inspect.Parameter.empty and name != reads.__name__:
        raise ValueError(
            f"{whose}.teacher is a {type(teacher).__name__}, which reads {name}; expected a model that reads "
            f"{reads.__name__}, as the student does: set loss.{whose}.teacher.run to such a run"
        )
