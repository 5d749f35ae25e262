"""What a model takes: the record that its forward asks for."""

from __future__ import annotations

import typing

from torch import nn


def taken_by(model: type[nn.Module]) -> type | None:
    """The class of the argument `inputs` of the model's forward; None if it has no such argument."""
    return typing.get_type_hints(model.forward).get("inputs")
