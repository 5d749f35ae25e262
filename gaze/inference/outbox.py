"""The folder that predictions go to: it never loses a file that we did not write."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from gaze.errors import UserError

RESULTS = "results.json"
FORMAT = "gaze.predictions.1"


class Notes:
    """Records in a file, a line each, so that a long video does not fill the memory."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def add(self, record: dict[str, Any]) -> None:
        self.file.write(json.dumps(record) + "\n")

    def __iter__(self) -> Iterator[Any]:
        self.file.seek(0)
        return map(json.loads, self.file)


class Outbox:
    """A folder with pictures or a video, and `results.json`.

    Which files will be written is noted before the first of them is, so that a second attempt may
    replace what the first one wrote, and nothing else.

    Args:
        folder: made if it does not exist.
        files: what will be written, relative to it.
        about: what the results begin with.

    Raises:
        UserError: one of the files exists and is not from an earlier prediction.
    """

    def __init__(self, folder: Path, files: Sequence[str], about: dict[str, Any]) -> None:
        self.folder, self.files, self.about = folder, list(files), about
        ours = self._earlier()
        for file in self.files:
            if file not in ours and (folder / file).exists():
                raise UserError(
                    f"{folder / file} exists and was not written by an earlier prediction; it is left as it is: "
                    "choose another folder with out=..."
                )
        # Those of ours that are not replaced this time stay ours.
        self.ours = self.files + sorted(file for file in ours - {*self.files} if (folder / file).exists())
        folder.mkdir(parents=True, exist_ok=True)
        self._write({"complete": False})

    def path(self, file: str) -> Path:
        """Where a file goes that was announced; its folder is made."""
        assert file in self.files
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def writing(self, file: str) -> Iterator[Path]:
        """Where an announced file is written, beside its place: it has its name once it is whole, or never."""
        path = self.path(file)
        aside = path.with_name(f".writing-{path.name}")
        try:
            yield aside
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        os.replace(aside, path)

    @contextmanager
    def notes(self) -> Iterator[Notes]:
        """Records that are kept in a file until the results are written; it is gone afterwards."""
        aside = self.folder / f".{RESULTS}.notes"
        try:
            with aside.open("w+", encoding="utf-8") as file:
                yield Notes(file)
        finally:
            aside.unlink(missing_ok=True)

    def finish(self, results: dict[str, Any], **records: Iterable[Any]) -> Path:
        """Write the results, and return their file.

        Args:
            records: lists at the end of the results, written one by one.
        """
        return self._write({"complete": True, **results}, records)

    def _earlier(self) -> set[str]:
        """The files that an earlier prediction wrote here."""
        file = self.folder / RESULTS
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"out={self.folder} is a file; give a folder")
        if not file.exists():
            return set()
        try:
            document = json.loads(file.read_text())
            ours = document["format"] == FORMAT and set(document["files"])
        except (OSError, ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise UserError(f"{file} exists and is not from an earlier prediction; choose another folder with out=...")
        return ours

    def _write(self, what: dict[str, Any], records: dict[str, Iterable[Any]] | None = None) -> Path:
        file, aside = self.folder / RESULTS, self.folder / f".{RESULTS}.writing"
        text = json.dumps({"format": FORMAT, **self.about, "files": self.ours, **what}, indent=1)
        with aside.open("w", encoding="utf-8") as results:
            results.write(text.removesuffix("\n}"))
            for name, rows in (records or {}).items():
                results.write(f",\n {json.dumps(name)}: [")
                for number, row in enumerate(rows):
                    results.write(("," if number else "") + f"\n  {json.dumps(row)}")
                results.write("\n ]")
            results.write("\n}\n")
        os.replace(aside, file)
        return file
