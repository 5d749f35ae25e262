"""What a module says of a picture, one tensor or several, as one row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class Packing:
    """What a module says of a picture as one row, and back; the shapes are those of its first answer.

    Args:
        fields: of a named tuple that are kept; None: all.
    """

    def __init__(self, fields: Sequence[str] | None = None) -> None:
        self.fields = fields
        self.kind: Any = None  # of a named tuple
        self.shapes: dict[str, tuple[int, ...]] = {}

    def rows(self, answer: Any) -> Tensor:
        """One row for each picture; of a tensor the tensor itself.

        Raises:
            ValueError: the answer has no such fields.
        """
        names = getattr(answer, "_fields", ())
        if self.fields is not None and (not self.fields or not set(self.fields) <= set(names)):
            raise ValueError(
                f"callback.feature_cache.fields is {list(self.fields)}, but the module gives "
                f"{', '.join(names) or 'one tensor'}; name some of them, or set it to null"
            )
        if not names:
            return answer  # type: ignore[no-any-return]
        self.kind = type(answer)
        kept = {n: getattr(answer, n) for n in self.fields or names if getattr(answer, n) is not None}
        self.shapes = {name: tuple(part.shape[1:]) for name, part in kept.items()}
        return torch.cat([part.flatten(1).float() for part in kept.values()], 1)

    def answer(self, rows: Tensor) -> Any:
        """What the module said, of rows."""
        if self.kind is None:
            return rows
        parts = rows.split([math.prod(shape) for shape in self.shapes.values()], 1)
        kept = {n: part.unflatten(1, s) for (n, s), part in zip(self.shapes.items(), parts, strict=True)}
        return self.kind(**{name: kept.get(name) for name in self.kind._fields})
