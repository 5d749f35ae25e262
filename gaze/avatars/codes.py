"""What networks read of a head beside its pose and gaze, and whether it is as wide as they expect."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gaze.types import FaceInputs


def code_of(inputs: FaceInputs, identity: int, expression: int) -> Float[Tensor, "b c"]:
    """Expression, then identity, of b samples.

    Args:
        identity, expression: the widths that are expected.

    Raises:
        ValueError: they have others.
    """
    check_widths(inputs, identity, expression)
    return torch.cat([inputs.expression, inputs.identity], -1)


def check_widths(inputs: FaceInputs, identity: int, expression: int) -> None:
    """Refuse codes of other widths than the model has.

    Raises:
        ValueError: the message says what to set.
    """
    for name, wanted in (("identity", identity), ("expression", expression)):
        if (found := getattr(inputs, name).shape[-1]) != wanted:
            raise ValueError(f"codes of {name} have {found} numbers; backbone.{name} is {wanted}: set it to {found}")


def check_rotation(eye_rotation: nn.Module | None, identity: int, expression: int) -> None:
    """Refuse a rotation of eyes that reads codes of another width; one without `code` reads none.

    Raises:
        ValueError: the message says what to set.
    """
    found, wanted = getattr(eye_rotation, "code", None), identity + expression
    if found not in (None, wanted):
        raise ValueError(
            f"eye_rotation.code is {found}, but backbone.identity={identity} and backbone.expression={expression} make "
            f"{wanted} numbers; set eye_rotation.code={wanted}"
        )
