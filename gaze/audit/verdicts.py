"""What checks of labels find: a sentence each, and what to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

FITS, DOUBT, WRONG, UNKNOWN = "fits", "doubt", "contradiction", "unknown"


class Verdict(NamedTuple):
    """Of one check."""

    check: str
    status: str  # FITS, DOUBT, WRONG, or UNKNOWN where there is nothing to check
    found: str
    do: str = ""
    figures: Mapping[str, float] = {}

    def __str__(self) -> str:
        return f"{self.status:13}  {self.check}: {self.found}{'; ' + self.do if self.do else ''}"

    def record(self) -> dict[str, Any]:
        """For JSON, which has no NaN."""
        figures = {name: value if math.isfinite(value) else None for name, value in self.figures.items()}
        return self._asdict() | {"figures": figures}
