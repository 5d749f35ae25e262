"""The folder that predictions go to: it never loses a file that we did not write."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaze.errors import UserError

RESULTS = "results.json"
FORMAT = "gaze.predictions.1"


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
        folder.mkdir(parents=True, exist_ok=True)
        self._write({"complete": False})

    def path(self, file: str) -> Path:
        """Where a file goes that was announced; its folder is made."""
        assert file in self.files
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def finish(self, results: dict[str, Any]) -> Path:
        """Write the results, and return their file."""
        return self._write({"complete": True, **results})

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

    def _write(self, what: dict[str, Any]) -> Path:
        file, aside = self.folder / RESULTS, self.folder / f".{RESULTS}.writing"
        aside.write_text(json.dumps({"format": FORMAT, **self.about, "files": self.files, **what}, indent=1) + "\n")
        os.replace(aside, file)
        return file
