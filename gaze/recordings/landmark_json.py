"""Face landmarks from one JSON file {path of a picture: [[x, y, z] x 468 or 478]}, however large it is.

The file is read once, from front to back, into an SQLite file beside the table, which finds the landmarks
of any picture without holding the others in memory. No JSON library beside Python's own is needed.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gaze.errors import UserError
from gaze.landmarks.points import COUNT, MESH
from gaze.recordings.json_stream import JsonStream

log = logging.getLogger(__name__)

SHOWN = 3


class LandmarkStore:
    """Landmarks by picture. Build it with `import_landmarks`.

    A picture is found by the longest end of its path that the JSON file names, so it does not matter
    from which folder its paths start.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file: sqlite3.Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None}

    def find(self, picture: Path) -> Float[np.ndarray, "478 3"] | None:
        """Landmarks of a picture, x and y as fractions of the frame; None where there are none."""
        self._file = self._file or sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        parts = picture.as_posix().strip("/").split("/")
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            row = self._file.execute("SELECT points FROM landmarks WHERE path = ?", (name,)).fetchone()
            if row:
                return np.frombuffer(row[0], np.float16).reshape(COUNT, 3).astype(np.float32)
        return None


def import_landmarks(source: Path | str, store: Path | str) -> LandmarkStore:
    """The landmarks of a JSON file, read in constant memory; once, unless the file has changed since.

    Rows of 468 points get NaN irises; rows with NaN or of another length are counted in the log, the latter left out.

    Raises:
        UserError: it is not such a file.
    """
    source, store = Path(source), Path(store)
    if not source.is_file():
        raise UserError(f"landmarks: {source} is not there; expected a JSON file {{path: [[x, y, z] x 468 or 478]}}")
    state = source.stat()
    key = f"{source.absolute()} {state.st_size} {state.st_mtime_ns}"
    if _key(store) == key:
        return LandmarkStore(store)
    store.parent.mkdir(parents=True, exist_ok=True)
    aside = store.with_name(f".{store.name}.part")
    aside.unlink(missing_ok=True)
    with closing(sqlite3.connect(aside)) as file, file:
        file.execute("CREATE TABLE source (key TEXT)")
        file.execute("CREATE TABLE landmarks (path TEXT PRIMARY KEY, points BLOB) WITHOUT ROWID")
        file.executemany("INSERT OR REPLACE INTO landmarks VALUES (?, ?)", _rows(source))
        file.execute("INSERT INTO source VALUES (?)", (key,))
    aside.replace(store)
    return LandmarkStore(store)


def _rows(source: Path) -> Iterator[tuple[str, bytes]]:
    refused: list[str] = []
    missing: list[str] = []
    count = 0
    with JsonStream(source) as stream:
        if stream.peek() != "{":
            raise UserError(f"{source} begins with {stream.peek()!r}; expected an object {{path: [[x, y, z] ...]}}")
        for path in stream.members():
            count += 1
            points = _points(stream.value())
            if points is None:
                refused.append(path) if len(refused) < SHOWN else refused.append("")
                continue
            if np.isnan(points[:MESH]).any():
                missing.append(path) if len(missing) < SHOWN else missing.append("")
            yield path.replace("\\", "/").removeprefix("./").strip("/"), points.astype(np.float16).tobytes()
    for rows, what in (
        (refused, f"not {MESH} or {COUNT} points [x, y, z]; left out"),
        (missing, "NaN among the points"),
    ):
        if rows:
            log.warning("%s: %d of %d rows have %s (as %s)", source, len(rows), count, what, ", ".join(rows[:SHOWN]))


def _points(value: Any) -> np.ndarray | None:
    try:
        points = np.asarray(value, np.float64)  # null becomes NaN
    except (TypeError, ValueError):
        return None
    if points.shape not in ((MESH, 3), (COUNT, 3)):
        return None
    irises = np.full((COUNT - len(points), 3), np.nan)
    return np.concatenate([points, irises]).clip(-60000, 60000)  # float16 ends at 65504


def _key(store: Path) -> str | None:
    if not store.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as file:
            row = file.execute("SELECT key FROM source").fetchone()
    except sqlite3.DatabaseError:  # half written, or another file: it is made again
        return None
    return row[0] if row else None
