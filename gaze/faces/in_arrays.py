"""What data sets have in common whose pictures are rows of arrays, without files or folds of their own."""

from __future__ import annotations

from collections.abc import Sequence


class InArrays:
    """A part of `gaze.faces.index.Faces`."""

    def stored(self, path: str) -> bytes | None:
        """None: pictures are in arrays."""
        return None

    def missing(self, paths: Sequence[str]) -> dict[str, str]:
        """None: there are as many pictures as rows."""
        return {}

    def clusters(self) -> list[list[str]]:
        """None: no folds are published, or each is of one person."""
        return []
