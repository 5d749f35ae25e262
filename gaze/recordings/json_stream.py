"""Reads JSON files of any size a value at a time, in the memory of the largest value that is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from gaze.errors import UserError

CHUNK = 1 << 18  # characters that are read at once
SPACE = " \t\n\r\ufeff"


class JsonStream:
    """A cursor in a JSON file. Objects and lists are walked with `members` and `elements`, or taken whole with `value`.

    Whoever walks must take or walk each value before going on to the next.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            self._file = self.path.open(encoding="utf-8-sig")
        except OSError as error:
            raise UserError(f"{path} can't be read ({error.strerror}); expected a JSON file") from error
        self._decoder = json.JSONDecoder()
        self._text, self._at, self._ended = "", 0, False

    def __enter__(self) -> JsonStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def peek(self) -> str:
        """The next character that is not space: { [ or the first of a plain value; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def members(self) -> Iterator[str]:
        """The names in the object that comes next; the cursor is before the value of each."""
        self._take("{")
        while self.peek() != "}":
            name = self.value()
            if not isinstance(name, str):
                raise self._wrong("a name in quotes")
            self._take(":")
            yield name
            if self.peek() != "}":
                self._take(",")
        self._take("}")

    def elements(self) -> Iterator[int]:
        """The places in the list that comes next; the cursor is before the value of each."""
        self._take("[")
        place = 0
        while self.peek() != "]":
            yield place
            place += 1
            if self.peek() != "]":
                self._take(",")
        self._take("]")

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise self._wrong("a JSON value") from error
                continue
            if end + len("e+1") >= len(self._text) and self._more():
                continue  # the number 1 may go on as 1.5 or 1e+1 in the next chunk
            self._at = end
            return found

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self._wrong(repr(character))
        self._at += 1

    def _more(self) -> bool:
        """Read on; at least as much as is waiting, so that a long value is not tried again too often."""
        if self._ended:
            return False
        waiting = self._text[self._at :]
        try:
            read = self._file.read(max(CHUNK, len(waiting)))
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path} is not text in UTF-8 ({error.reason}); expected a JSON file") from error
        self._ended = not read
        if read:
            self._text, self._at = waiting + read, 0
        return not self._ended

    def _wrong(self, expected: str) -> UserError:
        found = self._text[self._at : self._at + 40]
        there = f"{found!r}" if found else "its end"
        return UserError(f"{self.path} is not whole JSON: found {there}, expected {expected}; restore the file")
