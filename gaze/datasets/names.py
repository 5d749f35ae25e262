"""Names of many samples without an object for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import pyarrow as pa


class Names(Sequence[str]):
    """Words in one Arrow buffer: their letters and 8 bytes each, where a list has 57 and more beside the letters.

    Forked loader workers share the buffer. Objects of a list they would copy one after the other, because looking at one
    counts its references.
    """

    def __init__(self, words: pa.ChunkedArray | pa.Array) -> None:
        self._words = words.cast(pa.large_string())  # 2^31 letters are not enough for all

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        """A word, or a list of some."""
        if isinstance(index, slice):
            return list(self._words.take(pa.array(range(*index.indices(len(self))), pa.int64())).to_pylist())
        return str(self._words[index].as_py())

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 65536):
            yield from self._words.slice(start, 65536).to_pylist()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def nbytes(self) -> int:
        """Of the buffer."""
        return int(self._words.nbytes)
