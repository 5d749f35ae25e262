"""Writes a table of recordings, a row group at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gaze.errors import UserError
from gaze.label_units import CM
from gaze.recordings.rows import table_of
from gaze.recordings.sample import ScreenSample
from gaze.recordings.schema import PREFIX, ROW_GROUP, SCHEMA, Header


class ScreenWriter:
    """One Parquet file that appears whole or not at all. Memory holds one row group, whatever is written.

    Args:
        path: the file to make, with its folder; one that is there is replaced.
        dataset: its name, as in the rows.
        boxes: where boxes come from: apple, facemesh, landmarks, synthetic, ...
        crop: how pictures were cut: sizes in px, margins, padding, JPEG quality.
        source_sha256: of what was read; may be set until the end, when it is written.
        created: when; now, unless two files are to be the same byte for byte.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        dataset: str,
        boxes: str,
        crop: Mapping[str, Any] | None = None,
        source_sha256: str = "",
        created: datetime | None = None,
    ) -> None:
        self.path = Path(path)
        self.rows = 0  # written so far
        self.source_sha256 = source_sha256
        self.notes: dict[str, Any] = {}  # what else the file is to say, as JSON; may be filled until the end
        self._aside = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        when = (created or datetime.now(timezone.utc)).isoformat(timespec="seconds")
        self._header = Header(dataset, boxes, crop or {}, created_utc=when)
        self._units: set[str] = set()  # of the labels so far
        self._waiting: list[ScreenSample] = []
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> ScreenWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        words = [field.name for field in SCHEMA if pa.types.is_dictionary(field.type)]
        self._file = pq.ParquetWriter(
            self._aside,
            SCHEMA.with_metadata(self._header.metadata()),
            compression="zstd",
            compression_level=3,
            use_dictionary=words,
            write_page_checksum=True,
        )
        return self

    def write(self, samples: Iterable[ScreenSample]) -> None:
        """Append frames, in the order in which they come.

        Raises:
            UserError: labels of one table are in different units.
            ValueError: a value does not fit its column.
        """
        for sample in samples:
            self._units.add(sample.label_unit)
            if len(self._units) > 1:
                raise UserError(
                    f"{self.path}: {sample.sample_id} has a label in {sample.label_unit}, and frames before it have none in "
                    "that unit; expected one unit in a table; prepare recordings of other units into another folder"
                )
            self._waiting.append(sample)
            if len(self._waiting) == ROW_GROUP:
                self._flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._file is not None
        try:
            if kind is None:
                self._flush()
                self._file.add_key_value_metadata(
                    {
                        f"{PREFIX}sha256_source": self.source_sha256,
                        f"{PREFIX}notes": json.dumps(self.notes),
                        f"{PREFIX}label_unit": next(iter(self._units), CM),
                    }
                )
            self._file.close()
            if kind is None:
                with self._aside.open("rb") as file:
                    os.fsync(file.fileno())  # else a crash could leave the name without the bytes
                self._aside.replace(self.path)
        finally:
            self._aside.unlink(missing_ok=True)

    def _flush(self) -> None:
        assert self._file is not None, "used outside of `with`"
        if self._waiting:
            self._file.write_table(table_of(self._waiting, self.path.parent.absolute()), row_group_size=ROW_GROUP)
            self.rows += len(self._waiting)
            self._waiting = []
